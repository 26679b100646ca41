"""A worker of the pool: `python -m slurm.processes.worker FD LOGS` runs the jobs that come over the connection FD.

How they end goes back the same way, not to its log in LOGS, which may have no room. It ends when its connection does,
so that no worker outlives a launcher that was killed.
"""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
import time
import traceback
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from ecgan import logs
from ecgan.errors import UserError, told
from jobs import stop
from jobs.options import in_words
from slurm.processes import streams
from slurm.processes.pool import Job, JobOutcome

#: Seconds a running job has to stop once the launcher is gone.
_GRACE = 3


def main(descriptor: int, folder: Path) -> None:
    streams.make_lossy()
    logs.show()
    connection = Connection(descriptor)
    jobs: queue.Queue[Job | None] = queue.Queue()
    threading.Thread(target=_listen, args=(connection, jobs), daemon=True).start()
    stop.listen()
    while (job := jobs.get()) is not None:
        connection.send(_run(job, folder.parent))


def _run(job: Job, folder: Path) -> JobOutcome:
    """`folder`: where the job writes; told if it is full."""
    try:
        job()
        return JobOutcome("done")
    except stop.Stopped:
        return JobOutcome("stopped")
    except UserError as error:
        print(in_words(error), flush=True)
        return JobOutcome("hopeless", in_words(error))
    except Exception as error:
        traceback.print_exc()
        message = told(error, folder) if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        return JobOutcome("failed", message)


def _receive(connection: Connection) -> Job:
    """The next job. One whose code is not to be found here fails when it is run, as any other."""
    try:
        return connection.recv()
    except (EOFError, OSError):
        raise
    except Exception as error:
        return _Unreadable(error)


@dataclass(frozen=True)
class _Unreadable:
    error: Exception

    def __call__(self) -> None:
        raise self.error


def _listen(connection: Connection, jobs: queue.Queue[Job | None]) -> None:
    try:
        while True:
            jobs.put(_receive(connection))
    except (EOFError, OSError):
        pass
    jobs.put(None)
    stop.request()
    time.sleep(_GRACE)
    if os.getpgrp() == os.getpid():  # as the pool starts us: our group is ourselves and what we have started
        os.killpg(os.getpid(), signal.SIGKILL)
    os._exit(1)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
