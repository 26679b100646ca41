"""The processes that run one job together: a single one, mpirun's ranks on this machine, or tasks of srun."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ecgan.errors import UserError
from slurm.rank import DONE, FAILED, OUTCOME, PROCESS, STOPPED

#: Seconds that mpirun gives the ranks to save when somebody sends it SIGTERM.
_GRACE = 60


class Ranks:
    """A job that `count` processes run together. Their output goes to `logs`/rank-K.log."""

    def __init__(
        self,
        job: Callable[[], Any],
        count: int,
        environment: Mapping[str, str],
        logs: Path,
        keep_open: Sequence[int] = (),
        starter: Sequence[str] | None = None,
    ) -> None:
        """Starts them. `environment` comes on top of ours; `keep_open`: descriptors that they inherit.

        `starter`: command that starts them, on other machines perhaps; by default mpirun here if there are several.
        Raises UserError if it is not there.
        """
        self._logs, self.count = logs, count
        self._all_here = starter is None
        self._lost: str | None = None
        for old in (*logs.glob(f"rank-*{OUTCOME}"), *logs.glob(f"rank-*{PROCESS}")):
            old.unlink()
        job_file = logs / "job.pickle"
        job_file.write_bytes(pickle.dumps(job))
        rank = [sys.executable, "-m", "slurm.rank", str(job_file), str(logs)]
        if starter is None:
            starter = [] if count == 1 else mpirun(count)
        self._log = logs / f"{Path(starter[0]).name if starter else 'rank'}.log"
        if starter and Path(starter[0]).name == "srun":
            rank.append("srun")
        with open(self._log, "ab") as log:
            self._process = subprocess.Popen(
                [*starter, *rank],
                env=os.environ | dict(environment) | {"PYTHONUNBUFFERED": "1"},
                stdin=subprocess.PIPE,  # ends with us, which tells them to stop
                stdout=log,
                stderr=log,
                pass_fds=tuple(keep_open),
                start_new_session=True,  # Ctrl-C on the terminal is the launcher's to pass on
            )

    @property
    def status(self) -> int | None:
        """How they ended, as in `slurm.rank`, or mpirun's status; negative if a signal did it; None while they run."""
        code = self._process.poll()
        outcomes = self._outcomes() if code == DONE else []  # a stop is no failure in mpirun's eyes
        if code == DONE and not self._all_here and len(outcomes) < self.count:
            return FAILED  # srun ends with 0 when it has lost a node
        return outcomes[-1]["status"] if outcomes else code

    def wait(self, seconds: float) -> bool:
        """Whether all have ended, at most so many seconds from now. Once one has failed the others are ended."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        if self._process.returncode is None and self.count > 1 and self._all_here and self._has_lost_one():
            self.kill()  # the others wait for it, and mpirun for the end of its grace
        return self._process.returncode is not None

    def ask_to_stop(self) -> None:
        """They finish their step, save and end with the status STOPPED. mpirun and srun both pass the signal on."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGUSR2)  # SIGTERM they would turn into SIGKILL

    def kill(self) -> None:
        """Ends them at once, with all their children: whatever runs in the session that we opened for them."""
        if not self._all_here:
            with contextlib.suppress(subprocess.TimeoutExpired, ProcessLookupError):
                self._process.terminate()  # srun and mpirun end with it what runs elsewhere
                self._process.wait(2 * _GRACE)
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                with contextlib.suppress(ProcessLookupError):  # mpirun gives every rank a process group of its own
                    if os.getsid(int(entry.name)) == self._process.pid:
                        os.kill(int(entry.name), signal.SIGKILL)
        self._process.wait()

    def trouble(self) -> str | None:
        """What went wrong, in the words of the rank that failed first; None if nothing did."""
        status = self.status
        if status in (None, DONE, STOPPED):
            return None
        for outcome in self._outcomes():
            if outcome["message"]:
                return str(outcome["message"])
        assert status is not None
        return self._lost or self._starters_word() or f"the job {_cause(-status if status < 0 else 0)}"

    @property
    def stopped_by(self) -> list[str]:
        """The signals that asked the ranks to stop; empty if they were asked otherwise."""
        return [outcome["signal"] for outcome in self._outcomes() if outcome.get("signal")]

    @property
    def progressed(self) -> bool:
        """Whether a job that was stopped had come any further."""
        return any(outcome.get("progressed") for outcome in self._outcomes())

    def _starters_word(self) -> str | None:
        """The first error that srun told of a task, as "srun: error: n2: task 1: Killed"."""
        if self._all_here:
            return None
        lines = self._log.read_text(errors="replace").splitlines()
        told = [line for line in lines if "error:" in line]
        return next((line for line in told if "task" in line), told[0] if told else None)

    def _has_lost_one(self) -> bool:
        """Whether a rank has ended that had not done its job. Notes which, and what ended it as far as can be seen."""
        for file in self._logs.glob(f"rank-*{PROCESS}"):
            ended = _end_of(int(file.read_text()))
            if ended is None:
                continue
            outcome = file.with_suffix(OUTCOME)
            if not outcome.exists() or json.loads(outcome.read_text())["status"] not in (DONE, STOPPED):
                self._lost = f"{file.stem.replace('-', ' ')} {_cause(ended & 0x7F)}"
                return True
        return False

    def _outcomes(self) -> list[dict[str, Any]]:
        """Of the ranks that lived to write theirs, in the order in which they did."""
        files = sorted(self._logs.glob(f"rank-*{OUTCOME}"), key=lambda path: path.stat().st_mtime_ns)
        return [json.loads(path.read_text()) for path in files]


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


def mpirun(count: int) -> list[str]:
    """Starts `count` ranks: here, or in a Slurm allocation on its nodes. Raises UserError if there is no mpirun."""
    path = find_mpi("mpirun")
    if path is None:
        raise UserError("no mpirun: install this project with pip, which brings Open MPI, or use --ranks 1")
    options = ["--oversubscribe", "--bind-to", "none", "--mca", "odls_base_sigkill_timeout", str(_GRACE)]
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return [path, "-n", str(count), *options, *as_root]


def find_mpi(program: str) -> str | None:
    """mpirun or mpicc: the environment's own, since it need not be activated; else the PATH's."""
    return shutil.which(str(Path(sys.prefix) / "bin" / program)) or shutil.which(program)
