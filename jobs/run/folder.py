"""A run's folder: where everything that a run writes has its place, and the lock that keeps runs apart."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import time
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX, write_json

#: Seconds in which the workers of a killed launcher end and let go of the lock.
_WORKERS_END = 10


class RunDir:
    """Paths below `path`; docs/structure.md says what they hold. Nothing is created before `create`.

    `option`: what the user chose the folder with, for messages.
    """

    def __init__(self, path: Path, option: str = "--output_path") -> None:
        self.path, self._option = path, option
        self.plan = path / "plan.json"
        self.config = path / "config.yaml"
        self.status = path / "status.json"
        self.failures = path / "failures.jsonl"
        self.missing = path / "missing.txt"
        self.logs = path / "logs"
        self.shards = path / "shards"
        self.images = path / "images"
        self.done = path / "done.jsonl"
        self.replaced = path / "replaced"
        self.states = path / "states"
        self.metrics = path / "metrics.jsonl"
        self.samples = path / "samples"
        self.samples_page = path / "samples.html"
        self.tensorboard = path / "tensorboard"
        self.submission = path / "submission.json"
        self.attempts = path / "attempts"
        self.code = path / "code"
        self.slurm = path / "slurm"

    def create(self, *folders: Path) -> None:
        """Makes the folder, that of the logs, and `folders`. Raises UserError if they can't be made or written to."""
        try:
            for folder in (self.path, self.logs, *folders):
                folder.mkdir(parents=True, exist_ok=True)
            probe = self.path / f".probe{TEMPORARY_SUFFIX}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise UserError(f"can't write to {self.path}: {error.strerror}; choose another {self._option}") from None

    def lock(self) -> int:
        """Takes the run for this process and those that inherit the descriptor returned.

        It is free again when all of them have ended, however they end. Raises UserError that says
        who holds it.
        """
        descriptor = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o666)
        deadline = time.monotonic() + _WORKERS_END
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                holder = _parse(os.pread(descriptor, 4096, 0))
                if _is_alive(holder) or time.monotonic() > deadline:
                    os.close(descriptor)
                    raise UserError(
                        f"{self.path} is in use by process {holder.get('pid', '?')} on {holder.get('host', '?')} since "
                        f"{holder.get('since', '?')}: wait for it, stop it, or choose another {self._option}"
                    ) from None
                time.sleep(0.2)
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": now()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        return descriptor

    def holder(self) -> int | None:
        """The process that took the lock last, if it runs on this machine."""
        try:
            holder = _parse((self.path / "lock").read_bytes())
        except OSError:
            return None
        is_here = holder.get("host") == socket.gethostname() and _is_alive(holder)
        return int(holder["pid"]) if is_here else None

    def write_status(self, state: str, **details: Any) -> None:
        """What `status.py` shows. `state`: running, done, incomplete, stopped or failed.

        A disk too full for it is no reason to stop: who writes results will say so.
        """
        with contextlib.suppress(OSError):
            write_json(self.status, {"state": state, "updated": now(), **details})

    def clear_temporaries(self) -> None:
        """Removes what killed processes left half written. Only while holding the lock."""
        for folder in (self.path, self.shards, self.images):
            for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="seconds")


def _parse(content: bytes) -> dict[str, Any]:
    try:
        return dict(json.loads(content))
    except ValueError:
        return {}


def _is_alive(holder: dict[str, Any]) -> bool:
    """Whether the launcher itself still runs; on another host it is taken to."""
    if holder.get("host") != socket.gethostname():
        return bool(holder)
    try:
        os.kill(int(holder["pid"]), 0)
        return True
    except (OSError, KeyError, ValueError):
        return False
