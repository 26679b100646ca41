"""One process of a job that several run together: `python -m slurm.rank JOB_FILE LOGS PLACE`.

Output goes to LOGS/rank-K.log, how it ended to LOGS/rank-K.outcome, or to whoever started us if that can't be written.
Rank 0 stops the job when its
standard input ends, which the launcher holds open: so nothing outlives a launcher that was killed
by more than a step. PLACE says whose variables tell the process its place: mpirun's, which Jittor knows,
or Slurm's.
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
from typing import Literal, NoReturn, cast

from ecgan import logs as messages
from ecgan.errors import UserError, told
from ecgan.files import write_json
from jobs import stop
from jobs.options import in_words
from jobs.run import attempts
from slurm import streams
from slurm.session import Session

OUTCOME = ".outcome"
#: Begins a line on the standard output of a rank that tells its outcome, after its number.
TOLD = "\x1erank-outcome "
Place = Literal["mpi", "slurm"]
#: Characters of an error that are told; the log has all of them.
_LONGEST = 500
#: Seconds that mpirun or srun have to pass on what a rank tells: once it has failed they are busy with ending all.
_PASS_ON = 0.5
#: How a rank ended: its job is done, failed, can't run as it is, goes on elsewhere, or was stopped and can be resumed.
DONE, FAILED, HOPELESS, SUPERSEDED, STOPPED = 0, 1, 2, 3, 75
#: A rank's place in a world that nothing has told it of.
_ALONE = {"RANK": "0", "SIZE": "1"}


@dataclass(frozen=True)
class RankOutcome:
    """How a rank that lived to tell it has ended: `status` as above, and what went wrong if anything did.

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


def main(job_file: Path, logs: Path, place: Place) -> NoReturn:
    if place == "slurm":
        take_place_from_slurm()
    messages.show()
    rank, size = (int(os.environ.get(f"OMPI_COMM_WORLD_{name}", default)) for name, default in _ALONE.items())
    # Kept open: mpirun closes the standard input of a rank that has closed its outputs.
    starter, _ = os.dup(1), os.dup(2)
    _log_to(logs / f"rank-{rank}.log")
    streams.make_lossy()
    # Until several ranks have met, each may wait in MPI for one that is dead, where only a signal's default reaches it;
    # and there is nothing to lose yet. The job listens to all signals once they have.
    stop.listen(*([signal.SIGUSR2] if size > 1 else []))
    if size > 1 and place == "mpi":
        _watch_mpirun()
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


def take_place_from_slurm() -> None:
    """Sets the variables that Jittor looks at before it joins an MPI world; srun does not set them.

    Without them every rank would train alone.
    """
    place = {"SIZE": "SLURM_NTASKS", "RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID"}
    if int(os.environ["SLURM_NTASKS"]) > 1:
        for name, variable in place.items():
            os.environ[f"OMPI_COMM_WORLD_{name}"] = os.environ[variable]


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


def _watch_mpirun() -> None:
    """mpirun that is to end its ranks begins with SIGCONT and comes to SIGTERM after its whole grace: stops at the
    first, if it is mpirun's. Call before any other thread is started."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCONT])
    mpirun = os.getppid()

    def watch() -> None:
        while signal.sigwaitinfo([signal.SIGCONT]).si_pid != mpirun:
            pass
        stop.request(signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def _watch_launcher() -> None:
    while os.read(0, 1):
        pass
    stop.request()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), cast(Place, sys.argv[3]))
