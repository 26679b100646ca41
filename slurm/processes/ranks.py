"""The processes that run one job together, however they were started: watched, asked to stop, ended."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.run.folder import JOB
from slurm.processes import inherited
from slurm.processes.ends import DONE, STOPPED, cause
from slurm.processes.rank import OUTCOME, TOLD, RankOutcome
from slurm.processes.session import Session
from slurm.processes.starters import Starter

#: Seconds in which ranks that a starter has begun to start are all there, and in which it ends once they have.
_START, _END = 2.0, 2.0
#: Seconds for ranks elsewhere to end when they are killed, and for what has started them.
_ELSEWHERE = 3.0
#: The same for those here: one that waits for a slow disk ends when that has answered.
_HERE = 30.0
#: Bytes of what a starter says that are kept, of the beginning and of the end.
_KEPT = 1 << 18


class Ranks:
    """A job that several processes run together, or one. Their output goes to `logs`/rank-K.log."""

    def __init__(
        self,
        job: Callable[[], Any],
        starter: Starter,
        environment: Mapping[str, str],
        logs: Path,
        keep_open: Sequence[int] = (),
    ) -> None:
        """Starts them. `environment` comes on top of ours; `keep_open`: descriptors that they inherit.

        Raises UserError if the starter is not there.
        """
        self._starter, self._logs = starter, logs
        self._lost: str | None = None
        self._said = b""
        self._found: dict[int, int] = {}
        self._seen_at = self._over_at = float("inf")
        for old in logs.glob(f"rank-*{OUTCOME}"):
            old.unlink()
        job_file = logs / JOB
        job_file.write_bytes(pickle.dumps(job))
        rank = [starter.python, "-m", "slurm.processes.rank", str(job_file), str(logs), starter.origin.word]
        command = [*starter.command, *rank]
        session = Session.of(logs)
        told = {name: os.environ.get(name, folder) for name, folder in starter.keeps_in(session).items()}
        self._session = session if told and starter.count > 1 else None
        of_session = {**session.environment, **told} if self._session else {}
        ours = inherited.environment() if starter.is_here else dict(os.environ)
        if self._session:
            self._session.take()
        self._log = logs / f"{starter.name}.log"
        self._process = subprocess.Popen(
            command,
            env=ours | of_session | dict(environment) | {"PYTHONUNBUFFERED": "1"},
            stdin=subprocess.PIPE,  # ends with us, which tells them to stop
            stdout=subprocess.PIPE,  # a rank says there what it can't write to its disk
            stderr=subprocess.STDOUT,
            pass_fds=tuple(keep_open),
            start_new_session=True,  # Ctrl-C on the terminal is the launcher's to pass on
        )
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdout.fileno(), False)

    @property
    def status(self) -> int | None:
        """How they ended, as in `slurm.processes.ends`, or the starter's status; negative if a signal did it; None
        while they run."""
        code = self._process.poll()
        return None if code is None else self._starter.status(code, self._outcomes())

    def wait(self, seconds: float) -> bool:
        """Whether all have ended, at most so many seconds from now. Once one has failed the others are ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._process.poll() is None and self._starter.is_here and self._starter.count > 1:
            self._look()
        self._hear()
        if self._process.poll() is None:
            return False
        if self._starter.is_here:  # mpirun may have been killed, and its ranks go on without it
            self._end_session()
        self._clean()
        return True

    def ask_to_stop(self) -> None:
        """They finish their step, save and end with the status STOPPED."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR2)  # SIGTERM mpirun and srun would turn into SIGKILL

    def kill(self) -> None:
        """Ends them at once, with all their children: whatever runs in the session that we opened for them."""
        if not self._starter.is_here:
            # What has started ranks elsewhere passes SIGUSR1 on, which ends them; with SIGTERM mpirun takes its time.
            for number in (signal.SIGUSR1, signal.SIGTERM):
                with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                    self._process.send_signal(number)
                    self._process.wait(_ELSEWHERE)
        self._end_session()
        self._process.wait()
        self._clean()

    def trouble(self) -> str | None:
        """What went wrong, in the words of the rank that failed first; None if nothing did."""
        status = self.status
        if status is None or status in (DONE, STOPPED):
            return None
        for outcome in self._outcomes():
            if outcome.message:
                return outcome.message
        said = self._starter.complaint(self._said.decode(errors="replace"))
        return self._lost or said or f"the job {cause(-status if status < 0 else 0)}"

    @property
    def has_lost_node(self) -> bool:
        """Whether that is what went wrong: a machine has gone."""
        return self._starter.has_lost_node(self.trouble() or "")

    @property
    def died_of_warning(self) -> bool:
        """Whether that is what went wrong: one was asked to stop before it could listen."""
        return self._starter.died_of_warning(self.trouble() or "")

    @property
    def stopped_by(self) -> set[str]:
        """The signals that asked the ranks to stop; empty if they were asked otherwise."""
        return {outcome.signal for outcome in self._outcomes() if outcome.signal}

    @property
    def progressed(self) -> bool:
        """Whether a job that was stopped had come any further."""
        return any(outcome.progressed for outcome in self._outcomes())

    def _look(self) -> None:
        """Ends all once a rank of mpirun's here has ended that had not done its job: the others wait for it, and
        mpirun for the end of its grace. Notes which, and what ended it as far as can be seen.

        So, too, if mpirun does not end though all have done their job: somebody has sent it SIGTERM.
        """
        now = time.monotonic()
        self._found |= _ranks_of(self._process.pid, self._starter.origin.rank)
        if self._found:
            self._seen_at = min(self._seen_at, now)
        known = self._found if now < self._seen_at + _START else range(self._starter.count)
        ended = {rank: how for rank in known if (how := _end_of(self._found.get(rank))) is not None}
        outcomes = self._known()
        for rank, how in ended.items():
            if rank not in outcomes:
                self._lost = f"rank {rank} {cause(how & 0x7F)}"
            elif outcomes[rank].status in (DONE, STOPPED):
                continue
            self.kill()
            return
        if len(ended) == self._starter.count:
            self._over_at = min(self._over_at, now)
            if now > self._over_at + _END:
                self.kill()

    def _end_session(self) -> None:
        """Ends what runs here, and waits until it has ended: it holds the session until then, and may write."""
        deadline = time.monotonic() + _HERE
        while living := [process for process in _in_session(self._process.pid) if _end_of(process) is None]:
            for process in living:
                with contextlib.suppress(ProcessLookupError):  # mpirun gives every rank a process group of its own
                    os.kill(process, signal.SIGKILL)
            if time.monotonic() > deadline:
                return
            time.sleep(0.02)

    def _outcomes(self) -> list[RankOutcome]:
        """Of the ranks that lived to tell theirs, in the order in which they did; those at the end that could not
        write it."""
        return list(self._known().values())

    def _known(self) -> dict[int, RankOutcome]:
        """The same by rank."""
        self._hear()
        files = sorted(self._logs.glob(f"rank-*{OUTCOME}"), key=lambda path: path.stat().st_mtime_ns)
        written = {int(path.stem.removeprefix("rank-")): RankOutcome.load(path) for path in files}
        said = re.findall(rf"^{TOLD}(\d+) (.+)$", self._said.decode(errors="replace"), re.MULTILINE)
        return written | {int(rank): RankOutcome(**json.loads(outcome)) for rank, outcome in said}

    def _hear(self) -> None:
        """What the starter has said since; its log may have no room for it."""
        assert self._process.stdout is not None
        new = b""
        with contextlib.suppress(BlockingIOError, ValueError):  # closed, after the end
            while chunk := os.read(self._process.stdout.fileno(), 1 << 16):
                new += chunk
        if not new:
            return
        self._said += new
        if len(self._said) > 2 * _KEPT:
            self._said = self._said[:_KEPT] + self._said[-_KEPT:]
        with contextlib.suppress(OSError), open(self._log, "ab") as log:
            log.write(new)

    def _clean(self) -> None:
        """After their end."""
        self._hear()
        if self._session:
            self._session.leave()


def _in_session(leader: int) -> Iterator[int]:
    """The processes of the session that the process `leader` opened."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(int(entry.name)) == leader:
                    yield int(entry.name)


def _ranks_of(mpirun: int, variable: str) -> dict[int, int]:
    """Its children here, by rank, which `variable` tells them."""
    found, telling = {}, rf"(?:^|\0){variable}=(\d+)\0".encode()
    for process in _in_session(mpirun):
        with contextlib.suppress(OSError):
            state = _state(process)
            place = re.search(telling, Path(f"/proc/{process}/environ").read_bytes())
            if place and state and int(state[1]) == mpirun:
                found[int(place[1])] = process
    return found


def _end_of(process: int | None) -> int | None:
    """The wait status of a process that has ended (0 if nothing is known of it any more); None while it runs."""
    state = _state(process) if process is not None else None
    if state is None:
        return 0
    only_one_left = int(state[17]) <= 1  # of its threads, which may outlive the first one and keep files open
    return int(state[-1]) if state[0] == "Z" and only_one_left else None


def _state(process: int) -> list[str] | None:
    """What /proc tells of a process from its state on, the parent's id coming next; None if it is gone."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
