"""One process of a job that several run together: `python -m slurm.processes.rank JOB_FILE LOGS ORIGIN`.

Output goes to LOGS/rank-K.log, how it ended to LOGS/rank-K.outcome, or to whoever started us if that can't be written.
Rank 0 stops the job when its standard input ends, which the launcher holds open: so nothing outlives a launcher that
was killed by more than a step. ORIGIN says, in JSON, what the process must know of what has started it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import pickle
import re
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from ecgan import logs as messages
from ecgan.errors import UserError, told
from ecgan.files import write_json
from jobs import stop
from jobs.options import in_words
from jobs.run import attempts
from slurm.processes import streams
from slurm.processes.ends import DONE, FAILED, HOPELESS, STOPPED, SUPERSEDED
from slurm.processes.session import Session

OUTCOME = ".outcome"
#: Begins a line on the standard output of a rank that tells its outcome, after its number.
TOLD = "\x1erank-outcome "
#: Characters of an error that are told; the log has all of them.
_LONGEST = 500
#: Seconds that mpirun or srun have to pass on what a rank tells: once it has failed they are busy with ending all.
_PASS_ON = 0.5
#: The variables that Jittor looks at before it joins an MPI world.
_JITTORS = {name: f"OMPI_COMM_WORLD_{name.upper()}" for name in ("rank", "size", "local_rank")}


@dataclass(frozen=True)
class Origin:
    """What a rank must know of what has started it: the variables that tell it its place among all and on its machine,
    and whether SIGCONT from there says that all are to end. Without those variables it is alone."""

    rank: str
    size: str
    local_rank: str
    announces_end_with_sigcont: bool = False

    @property
    def word(self) -> str:
        """For the command line of a rank."""
        return json.dumps(dataclasses.asdict(self))


@dataclass(frozen=True)
class RankOutcome:
    """How a rank that lived to tell it has ended: `status`, of `slurm.processes.ends`, and what went wrong if anything
    did.

    Of one that was stopped: the `signal` that asked for it, and whether it had come any further.
    """

    status: int
    message: str | None = None
    progressed: bool = False
    signal: str | None = None

    def save(self, path: Path) -> None:
        """Raises OSError."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: Path) -> RankOutcome:
        return cls(**json.loads(path.read_text()))


def main(job_file: Path, logs: Path, origin: Origin) -> NoReturn:
    rank, size = int(os.environ.get(origin.rank, "0")), int(os.environ.get(origin.size, "1"))
    if size > 1:  # else Jittor would take it for one of several
        for name, variable in _JITTORS.items():
            os.environ[variable] = os.environ[getattr(origin, name)]
    messages.show()
    # Kept open: mpirun closes the standard input of a rank that has closed its outputs.
    starter, _ = os.dup(1), os.dup(2)
    _log_to(logs / f"rank-{rank}.log")
    streams.make_lossy()
    # Until several ranks have met, each may wait in MPI for one that is dead, where only a signal's default reaches it;
    # and there is nothing to lose yet. The job listens to all signals once they have.
    stop.listen(*([signal.SIGUSR2] if size > 1 else []))
    if size > 1 and origin.announces_end_with_sigcont:
        _watch_parent()
    if rank == 0:
        threading.Thread(target=_watch_launcher, daemon=True).start()
    session = Session.of_rank()
    outcome = dataclasses.replace(_run(job_file, logs.parent, session), signal=stop.first_signal())
    # Where all stop together, that is no failure in mpirun's eyes: it would wait for those that it takes for hung.
    code = DONE if outcome.status == STOPPED else outcome.status
    try:
        outcome.save(logs / f"rank-{rank}{OUTCOME}")
    except OSError:  # no room even for that
        with contextlib.suppress(OSError):
            os.write(starter, f"{TOLD}{rank} {json.dumps(dataclasses.asdict(outcome))}\n".encode())
            time.sleep(_PASS_ON)
    sys.stdout.flush()
    sys.stderr.flush()
    if outcome.status in (DONE, STOPPED) and "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].Finalize()  # without it mpirun takes a rank for failed
    if session:
        session.leave()
    os._exit(code)  # what runs at a normal end would wait for ranks that may be dead


def _log_to(path: Path) -> None:
    """Sends what this process prints, and its libraries, to a file; if there is no room for one, nowhere."""
    try:
        log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    except OSError:
        log = os.open(os.devnull, os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)


def _run(job_file: Path, folder: Path, session: Session | None) -> RankOutcome:
    """`folder`: where the job writes; told if it is full."""
    try:
        if session:
            session.take()
        pickle.loads(job_file.read_bytes())()
        return RankOutcome(DONE, progressed=True)
    except stop.Stopped as stopped:
        return RankOutcome(STOPPED, progressed=stopped.progressed)
    except attempts.Superseded as error:
        print(f"{error}: nothing more is written here", flush=True)
        return RankOutcome(SUPERSEDED)
    except UserError as error:
        print(f"error: {in_words(error)}", flush=True)
        return RankOutcome(HOPELESS, in_words(error))
    except BaseException as error:
        traceback.print_exc()
        return RankOutcome(FAILED, told(error, folder) if isinstance(error, OSError) else in_a_line(error))


def in_a_line(error: BaseException) -> str:
    """What is told of an error; of Jittor's pages in colour, the reason."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("[Reason]")), lines[0] if lines else "")
    return f"{type(error).__name__}: {reason}"[:_LONGEST]


def _watch_parent() -> None:
    """mpirun that is to end its ranks begins with SIGCONT and comes to SIGTERM after its whole grace: stops at the
    first, if it is mpirun's. Call before any other thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])
    parent = os.getppid()

    def watch() -> None:
        while signal.sigwaitinfo([signal.SIGCONT]).si_pid != parent:
            pass
        stop.request(signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _watch_launcher() -> None:
    while os.read(0, 1):
        pass
    stop.request()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), Origin(**json.loads(sys.argv[3])))
