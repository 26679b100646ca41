"""Where what starts ranks keeps what they share on one machine (Open MPI does): two folders of the job's own.

Ranks that were killed leave their shared memory behind. Here the last to end removes it; if none could, the next
job's ranks on the same machine do.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ecgan.errors import UserError
from ecgan.files import is_refused

#: Names the session in the environment of the ranks.
VARIABLE = "ECGAN_SESSION"
_LOCK = "lock"
_MEMORY = Path("/dev/shm")
#: Characters of the folder for temporary files: below it Open MPI makes sockets, whose paths may have 107.
_LONGEST = 40


@dataclass
class Session:
    """The folders `name` in a folder for temporary files, and in the memory that processes share."""

    name: str
    _lock: int | None = None

    @classmethod
    def of(cls, logs: Path) -> Session:
        """Of the ranks whose logs are there; the same on every machine."""
        return cls(_prefix() + hashlib.sha256(os.fsencode(logs.absolute())).hexdigest()[:12])

    @classmethod
    def of_rank(cls) -> Session | None:
        """The one that this process, a rank, was given; None if it needs none."""
        name = os.environ.get(VARIABLE)
        return cls(name) if name else None

    @property
    def temporary(self) -> Path:
        return _temporary() / self.name

    @property
    def memory(self) -> Path:
        return _memory() / self.name

    @property
    def environment(self) -> dict[str, str]:
        """Tells ranks which one is theirs, also on other machines."""
        return {VARIABLE: self.name}

    def take(self) -> None:
        """Makes the folders on this machine; they stay until all who took them have left or ended.

        Removes those of sessions that are over. Raises OSError, and UserError if somebody else has made them.
        """
        _sweep()
        while True:
            for folder in (self.temporary, self.memory):
                folder.mkdir(mode=0o700, exist_ok=True)
                if not _is_ours(folder):
                    raise UserError(f"{folder} belongs to somebody else: remove it, or choose another TMPDIR")
            with contextlib.suppress(FileNotFoundError):  # swept just now
                self._lock = _hold(self.memory / _LOCK)
                return

    @property
    def is_taken(self) -> bool:
        """Whether a process on this machine has it: ranks may outlive what has started them, for a step at most."""
        return bool(is_refused(self.memory / _LOCK, fcntl.LOCK_EX))

    def leave(self) -> None:
        """Removes the folders if nobody else has them."""
        if self._lock is None:
            return
        with contextlib.suppress(OSError):
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _remove(self.name)
        os.close(self._lock)
        self._lock = None


def _prefix() -> str:
    return f"ecgan-{os.getuid()}-"


def _temporary() -> Path:
    folder = tempfile.gettempdir()
    return Path(folder if len(folder) <= _LONGEST or not os.access("/tmp", os.W_OK | os.X_OK) else "/tmp")


def _memory() -> Path:
    """Where files are memory, if there is such a place here."""
    return _MEMORY if os.access(_MEMORY, os.W_OK | os.X_OK) else _temporary()


def _hold(path: Path) -> int | None:
    """A descriptor that keeps the session from being swept; None where there are no locks, and nothing is swept.

    Raises FileNotFoundError if it was swept meanwhile.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    except OSError:
        os.close(descriptor)
        return None
    if not path.exists() or not os.path.samestat(os.fstat(descriptor), path.stat()):
        os.close(descriptor)
        raise FileNotFoundError(path)
    return descriptor


def _sweep() -> None:
    for lock in _memory().glob(f"{_prefix()}*/{_LOCK}"):
        with contextlib.suppress(OSError):
            descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(lock.parent.name)
            finally:
                os.close(descriptor)


def _remove(name: str) -> None:
    for folder in {_memory() / name, _temporary() / name}:
        if _is_ours(folder):
            shutil.rmtree(folder, ignore_errors=True)


def _is_ours(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()
