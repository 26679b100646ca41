"""Progress files: how far a shard is, for a launcher or a person that only sees the file system."""

from __future__ import annotations

import dataclasses
import os
import socket
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from ecgan.files import write_json
from jobs.run import values
from jobs.run.clock import now
from jobs.run.state import State

#: Seconds between two writes while nothing but counts changes.
_INTERVAL = 0.5


@dataclass(frozen=True, kw_only=True)
class Shard:
    """How far shard `number` is: `done` and `failed` of `total` pictures.

    `state`: STARTING, RUNNING, then DONE, STOPPED or FAILED. `requeues`: how often the scheduler has started it again.
    """

    number: int
    state: State
    done: int = 0
    failed: int = 0
    total: int = 0
    host: str | None = None
    error: str | None = None
    started: str | None = None
    updated: str | None = None
    requeues: int = 0


class Progress:
    """The counts of a shard while it runs, kept in a small JSON file. Any of its threads may count."""

    def __init__(self, folder: Path, number: int, total: int) -> None:
        self._path = folder / f"{number}.json"
        self._changing = threading.Lock()
        self._written = 0.0
        self._first = 0
        self._shard = Shard(number=number, state=State.STARTING, total=total, host=socket.gethostname(), started=now())
        self._write()

    def start_from(self, done: int) -> None:
        """So many were done already."""
        self._first = done
        self._shard = dataclasses.replace(self._shard, done=done)

    @property
    def has_moved(self) -> bool:
        """Whether anything was counted since."""
        return self._shard.done > self._first or self._shard.failed > 0

    def count(self, done: int = 0, failed: int = 0) -> None:
        with self._changing:
            shard = self._shard
            self._shard = dataclasses.replace(shard, done=shard.done + done, failed=shard.failed + failed)
            if time.monotonic() - self._written >= _INTERVAL:
                self._write()

    def enter(self, state: State, error: str | None = None) -> None:
        with self._changing:
            self._shard = dataclasses.replace(self._shard, state=state, error=error)
            self._write()

    def _write(self) -> None:
        told = {name: value for name, value in vars(self._shard).items() if value is not None}
        del told["number"], told["requeues"]
        write_json(self._path, told | {"pid": os.getpid(), "updated": now()})
        self._written = time.monotonic()


def read_shards(folder: Path) -> list[Shard]:
    """The shards in `folder` that have written any progress, by number."""
    paths = [path for path in folder.glob("*.json") if path.stem.isdecimal()]
    found = []
    for path in sorted(paths, key=lambda path: int(path.stem)):
        try:
            known = values.read_object(path)
        except (OSError, ValueError):
            continue  # replaced or removed while we looked
        found.append(Shard(**{"state": State.UNREADABLE} | values.fitting(Shard, known) | {"number": int(path.stem)}))
    return found
