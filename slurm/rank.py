"""One process of a job that several run together: `python -m slurm.rank JOB_FILE LOGS [srun]`.

Output goes to LOGS/rank-K.log, how it ended to LOGS/rank-K.outcome. Rank 0 stops the job when its
standard input ends, which the launcher holds open: so nothing outlives a launcher that was killed
by more than a step. With "srun" the process takes its place from Slurm's variables.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import re
import signal
import sys
import threading
import traceback
from pathlib import Path
from typing import NoReturn

from ecgan import logs as messages
from ecgan.errors import UserError
from ecgan.files import write_atomically, write_json
from jobs import stop
from jobs.options import in_words
from jobs.run import attempts

PROCESS, OUTCOME = ".pid", ".outcome"
#: Characters of an error that are told; the log has all of them.
_LONGEST = 500
#: How a rank ended: its job is done, failed, can't run as it is, goes on elsewhere, or was stopped and can be resumed.
DONE, FAILED, HOPELESS, SUPERSEDED, STOPPED = 0, 1, 2, 3, 75


def main(job_file: Path, logs: Path, starter: str = "mpirun") -> NoReturn:
    if starter == "srun":
        take_place_from_slurm()
    messages.show()
    rank = int(os.environ.get("OMPI_COMM_WORLD_RANK", "0"))
    for stream in (1, 2):
        os.dup(stream)  # kept open: mpirun closes the standard input of a rank that has closed its outputs
    log = os.open(logs / f"rank-{rank}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    os.dup2(log, 1)
    os.dup2(log, 2)
    # Until several ranks have met, each may wait in MPI for one that is dead, where only a signal's default reaches it;
    # and there is nothing to lose yet. The job listens to all signals once they have.
    stop.listen(*([signal.SIGUSR2] if int(os.environ.get("OMPI_COMM_WORLD_SIZE", "1")) > 1 else []))
    write_atomically(logs / f"rank-{rank}{PROCESS}", str(os.getpid()))
    if rank == 0:
        threading.Thread(target=_watch_launcher, daemon=True).start()
    status, message, progressed = _run(job_file)
    # Where all stop together, that is no failure in mpirun's eyes: it would wait for those that it takes for hung.
    code = DONE if status == STOPPED else status
    try:
        outcome = {"status": status, "message": message, "signal": stop.first_signal(), "progressed": progressed}
        write_json(logs / f"rank-{rank}{OUTCOME}", outcome)
    except OSError:  # no room even for that
        code = status
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    if status in (DONE, STOPPED) and "mpi4py.MPI" in sys.modules:
        sys.modules["mpi4py.MPI"].Finalize()  # without it mpirun takes a rank for failed
    os._exit(code)  # what runs at a normal end would wait for ranks that may be dead


def take_place_from_slurm() -> None:
    """Sets the variables that Jittor looks at before it joins an MPI world; srun does not set them.

    Without them every rank would train alone.
    """
    place = {"SIZE": "SLURM_NTASKS", "RANK": "SLURM_PROCID", "LOCAL_RANK": "SLURM_LOCALID"}
    if int(os.environ["SLURM_NTASKS"]) > 1:
        for name, variable in place.items():
            os.environ[f"OMPI_COMM_WORLD_{name}"] = os.environ[variable]


def _run(job_file: Path) -> tuple[int, str | None, bool]:
    """Exit status, what went wrong if anything did, and whether a stopped job had come any further."""
    try:
        pickle.loads(job_file.read_bytes())()
        return DONE, None, True
    except stop.Stopped as stopped:
        return STOPPED, None, stopped.progressed
    except attempts.Superseded as error:
        with contextlib.suppress(OSError):
            print(f"{error}: nothing more is written here", flush=True)
        return SUPERSEDED, None, False
    except UserError as error:
        with contextlib.suppress(OSError):
            print(f"error: {in_words(error)}", flush=True)
        return HOPELESS, in_words(error), False
    except BaseException as error:
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return FAILED, in_a_line(error), False


def in_a_line(error: BaseException) -> str:
    """What is told of an error; of Jittor's pages in colour, the reason."""
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("[Reason]")), lines[0] if lines else "")
    return f"{type(error).__name__}: {reason}"[:_LONGEST]


def _watch_launcher() -> None:
    while os.read(0, 1):
        pass
    stop.request()


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
