"""Progress files: how far a shard is, for a launcher or a person that only sees the file system."""

from __future__ import annotations

import json
import os
import socket
import time
from pathlib import Path
from typing import Any

from ecgan.files import write_json
from jobs.run.folder import now

#: Seconds between two writes while nothing but counts changes.
_INTERVAL = 0.5


class Progress:
    """Counts of one shard, kept in a small JSON file.

    States: starting, running, then done, stopped or failed.
    """

    def __init__(self, path: Path, total: int) -> None:
        self._path = path
        self._written = 0.0
        self._first = 0
        self._values: dict[str, Any] = {
            "state": "starting",
            "done": 0,
            "failed": 0,
            "total": total,
            "started": now(),
            "pid": os.getpid(),
            "host": socket.gethostname(),
        }
        self._write()

    def start_from(self, done: int) -> None:
        """So many were done already."""
        self._first = self._values["done"] = done

    @property
    def has_moved(self) -> bool:
        """Whether anything was counted since."""
        return bool(self._values["done"] > self._first or self._values["failed"])

    def count(self, done: int = 0, failed: int = 0) -> None:
        self._values["done"] += done
        self._values["failed"] += failed
        if time.monotonic() - self._written >= _INTERVAL:
            self._write()

    def enter(self, state: str, error: str | None = None) -> None:
        self._values["state"] = state
        if error is not None:
            self._values["error"] = error
        self._write()

    @property
    def failed(self) -> int:
        return int(self._values["failed"])

    def _write(self) -> None:
        write_json(self._path, self._values | {"updated": now()})
        self._written = time.monotonic()


def read_all(folder: Path) -> list[dict[str, Any]]:
    """The progress of every shard in `folder` that has written any."""
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(dict(json.loads(path.read_text())))
        except (OSError, ValueError):
            continue  # replaced or removed while we looked
    return found
