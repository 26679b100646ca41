"""The processes that run one job together, however they were started: watched, asked to stop, ended."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from slurm.rank import DONE, OUTCOME, PROCESS, STOPPED, RankOutcome
from slurm.starters import GRACE, Starter


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
        for old in (*logs.glob(f"rank-*{OUTCOME}"), *logs.glob(f"rank-*{PROCESS}")):
            old.unlink()
        job_file = logs / "job.pickle"
        job_file.write_bytes(pickle.dumps(job))
        rank = [sys.executable, "-m", "slurm.rank", str(job_file), str(logs), starter.place]
        self._log = logs / f"{starter.name}.log"
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [*starter.command, *rank],
                env=os.environ | dict(environment) | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,  # ends with us, which tells them to stop
                stdout=log,
                stderr=log,
                pass_fds=tuple(keep_open),
                start_new_session=True,  # Ctrl-C on the terminal is the launcher's to pass on
            )

    @property
    def status(self) -> int | None:
        """How they ended, as in `slurm.rank`, or the starter's status; negative if a signal did it; None while they
        run."""
        code = self._process.poll()
        return None if code is None else self._starter.status(code, self._outcomes())

    def wait(self, seconds: float) -> bool:
        """Whether all have ended, at most so many seconds from now. Once one has failed the others are ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        several_here = self._starter.is_here and self._starter.count > 1
        if self._process.returncode is None and several_here and self._has_lost_one():
            self.kill()  # the others wait for it, and mpirun for the end of its grace
        return self._process.returncode is not None

    def ask_to_stop(self) -> None:
        """They finish their step, save and end with the status STOPPED."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR2)  # SIGTERM mpirun and srun would turn into SIGKILL

    def kill(self) -> None:
        """Ends them at once, with all their children: whatever runs in the session that we opened for them."""
        if not self._starter.is_here:
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                self._process.terminate()  # it ends what it has started elsewhere
                self._process.wait(2 * GRACE)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(ProcessLookupError):  # mpirun gives every rank a process group of its own
                    if os.getsid(int(entry.name)) == self._process.pid:
                        os.kill(int(entry.name), signal.SIGKILL)
        self._process.wait()

    def trouble(self) -> str | None:
        """What went wrong, in the words of the rank that failed first; None if nothing did."""
        status = self.status
        if status is None or status in (DONE, STOPPED):
            return None
        for outcome in self._outcomes():
            if outcome.message:
                return outcome.message
        said = self._starter.complaint(self._log.read_text(errors="replace"))
        return self._lost or said or f"the job {_cause(-status if status < 0 else 0)}"

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

    def _has_lost_one(self) -> bool:
        """Whether a rank has ended that had not done its job. Notes which, and what ended it as far as can be seen."""
        for file in self._logs.glob(f"rank-*{PROCESS}"):
            ended = _end_of(int(file.read_text()))
            if ended is None:
                continue
            outcome = file.with_suffix(OUTCOME)
            if not outcome.exists() or RankOutcome.load(outcome).status not in (DONE, STOPPED):
                self._lost = f"{file.stem.replace('-', ' ')} {_cause(ended & 0x7F)}"
                return True
        return False

    def _outcomes(self) -> list[RankOutcome]:
        """Of the ranks that lived to write theirs, in the order in which they did."""
        files = sorted(self._logs.glob(f"rank-*{OUTCOME}"), key=lambda path: path.stat().st_mtime_ns)
        return [RankOutcome.load(path) for path in files]


def _cause(number: int) -> str:
    """What a signal's number says about an end that came without a word."""
    if number not in set(signal.Signals):
        return "ended without a word (killed? out of memory?)"
    name = signal.Signals(number).name
    return f"was killed by {name}" + (" (out of memory?)" if name == "SIGKILL" else "")


def _end_of(process: int) -> int | None:
    """The wait status of a process that has ended (0 if nothing is known of it any more); None while it runs."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[-1]) if fields[0] == "Z" else None
