"""What was found out of files, as long as they stay as they are: who comes again need not read them again.

A file is taken for unchanged if its size, its time of change and its number in the file system are; one of others', who
may set that time back, if what the system says of its last change is, too.
"""

from __future__ import annotations

import contextlib
import json
import time
from pathlib import Path
from typing import Any

from ecgan.files import any_json, open_file, sha256_of, whole_file
from ecgan.lines import line_as

#: Seconds in which a file may change again with no other time of change: clocks of file systems are as coarse as that,
#: and a server's may be slow.
_TOO_NEW = 2


class FileNotes:
    """A note in words on each of many files. Any thread may look and note.

    `decided_by`: what else than the files has decided what the notes say, as JSON has it.
    """

    def __init__(self, decided_by: Any = None) -> None:
        self._decided_by = decided_by
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}
        self._is_saved = True

    @classmethod
    def load(cls, path: Path, decided_by: Any = None) -> FileNotes:
        """Those that `save` wrote; none if there is no such file, it is damaged, or something else decided them."""
        notes = cls(decided_by)
        with contextlib.suppress(OSError, ValueError, TypeError), open_file(path) as file:
            if any_json(file.readline().decode()) == {"decided_by": decided_by}:
                notes._before = dict(line_as(line, tuple[str, str]) for line in file)
        return notes

    def known(self, key: str, stamp: str | None) -> str | None:
        """The note on the file that is called `key` here, if its stamp is the one it was noted with."""
        if stamp is None:
            return None
        for noted in (self._now.get(key), self._before.get(key)):
            if noted is not None and noted.startswith(stamp):
                self._now[key] = noted
                self._before.pop(key, None)
                return noted[len(stamp) :]
        return None

    def note(self, key: str, stamp: str | None, words: str) -> None:
        """`stamp`: of the file before it was read; nothing is noted without one."""
        if stamp is not None:
            self._now[key] = stamp + words
            self._before.pop(key, None)
            self._is_saved = False

    def sha256_of(self, path: Path) -> str:
        """The SHA-256 of a file that is known here by its name alone. Raises OSError."""
        stamp = stamp_of(path)
        words = self.known(path.name, stamp)
        if words is None:
            words = sha256_of(path)
            self.note(path.name, stamp, words)
        return words.split(" ", 1)[0]

    def save(self, path: Path) -> None:
        """Writes what was noted or asked for since they were loaded, unless the file is there and says that already.
        Raises OSError."""
        if self._is_saved and not self._before and (path.exists() or not self._now):
            return
        with whole_file(path) as file:
            file.write(json.dumps({"decided_by": self._decided_by}).encode() + b"\n")
            for entry in self._now.items():
                file.write(json.dumps(entry).encode() + b"\n")
        self._before, self._is_saved = {}, True


def stamp_of(path: Path, status: bool = False) -> str | None:
    """What changes when the file does; None of one that can't be reached, or has changed just now.

    `status`: it also changes with the time that nobody can set, which goes with a new name or owner, too.
    """
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    times = (found.st_mtime_ns, found.st_ctime_ns) if status else (found.st_mtime_ns,)
    if max(times) > time.time_ns() - _TOO_NEW * 10**9:
        return None
    return ":".join(map(str, (found.st_size, found.st_ino, *times))) + " "
