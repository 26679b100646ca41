"""The lock that keeps runs apart: a file in the run's folder, held by a launcher and all that it has started."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import socket
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from ecgan import files
from ecgan.errors import UserError
from jobs.run import values
from jobs.run.clock import now
from jobs.run.folder import RunDir

#: Seconds in which the workers of a killed launcher end and let go of the lock.
_WORKERS_END = 10


@dataclass(frozen=True)
class Holder:
    """Who took the lock last, as far as that is known; perhaps it is long gone."""

    pid: int | None = None
    host: str | None = None
    since: str | None = None

    @property
    def is_elsewhere(self) -> bool:
        return self.host not in (None, socket.gethostname())

    @property
    def lives_here(self) -> bool:
        """Whether the launcher itself still runs, on this machine."""
        if self.pid is None or self.is_elsewhere:
            return False
        try:
            os.kill(self.pid, 0)
            return True
        except OSError:
            return False


def take(run: RunDir) -> int:
    """Takes the run for this process and those that inherit the descriptor returned.

    It is free again when all of them have ended, however they end. Raises UserError that says
    who holds it, or that there are no locks where it lies.
    """
    descriptor = os.open(run.lock, os.O_RDWR | os.O_CREAT, 0o666)
    deadline = time.monotonic() + _WORKERS_END
    while True:
        try:
            files.lock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB, run.lock, run.option.removeprefix("--"))
            if not os.fstat(descriptor).st_nlink:  # whoever held it was refused, and took its folder away
                raise UserError(f"{run.path} has just been removed by another command: run this one again")
            break
        except BlockingIOError:
            other = holder(run)
            if other.is_elsewhere or other.lives_here or time.monotonic() > deadline:
                os.close(descriptor)
                raise UserError(
                    f"{run.path} is in use by process {other.pid or '?'} on {other.host or '?'} since "
                    f"{other.since or '?'}: wait for it, stop it, or choose another {run.option}"
                ) from None
            time.sleep(0.2)
        except UserError:
            os.close(descriptor)
            raise
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(asdict(Holder(os.getpid(), socket.gethostname(), now()))).encode(), 0)
    return descriptor


@contextlib.contextmanager
def held(run: RunDir) -> Iterator[int]:
    """Takes the run while the `with` lasts; gives the descriptor that workers are to inherit."""
    descriptor = take(run)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def holder(run: RunDir) -> Holder:
    try:
        return Holder(**values.fitting(Holder, values.read_object(run.lock)))
    except (OSError, ValueError):
        return Holder()


def is_held(run: RunDir) -> bool | None:
    """Whether a process holds the lock; None if that can't be found out. It is let go of at once."""
    return files.is_refused(run.lock, fcntl.LOCK_SH)
