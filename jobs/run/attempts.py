"""Attempts: every start of a job on a cluster has a number, and only the newest may write.

A node that the scheduler takes for dead may still compute while its job has been started again
elsewhere. Each start therefore makes a file of its own, attempts/UNIT-NUMBER.json, which nobody else
can have made, and whoever writes results looks first whether a later one exists.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecgan.files import write_atomically
from jobs.run import values
from jobs.run.clock import now
from jobs.run.state import State

#: What there are attempts at: a training, what comes after all shards, compiling for the doctor; and each shard.
TRAINING, MERGE, WARM = "training", "merge", "warm"
#: What there are attempts at of an experiment's lane begins so.
LANE = "lane-"
#: At beginning a run once another has ended well.
AFTER = "after"
#: Names the attempt's file in the environment of every process that belongs to it.
VARIABLE = "ECGAN_ATTEMPT"
#: Bytes that the file of an attempt takes at least, with blanks at its end: how it ended must have room.
_ROOM = 2048


class Superseded(Exception):
    """A later attempt at the same job has begun: this one must not write any more."""


def shard_unit(number: int) -> str:
    return f"shard-{number}"


@dataclass(frozen=True, kw_only=True)
class Details:
    """What is known of an attempt. `job`, `nodes`, `host`: in the scheduler's words.

    Once it has ended: `outcome` (DONE, FAILED, STOPPED or REQUEUED), `message` and `signal` that say why, and whether a
    stopped one had `progressed`.
    """

    started: str | None = None
    updated: str | None = None
    job: str | None = None
    nodes: str | None = None
    host: str | None = None
    log: str | None = None
    outcome: State | None = None
    message: str | None = None
    signal: str | None = None
    progressed: bool | None = None


@dataclass(frozen=True)
class Attempt:
    """Attempt number `number` (from 1) at `unit`, as they are called above, or by `shard_unit`."""

    folder: Path
    unit: str
    number: int

    @property
    def name(self) -> str:
        return f"{self.unit}-{self.number:04}"

    @property
    def path(self) -> Path:
        return self.folder / f"{self.name}.json"

    @property
    def is_newest(self) -> bool:
        later = Attempt(self.folder, self.unit, self.number + 1)
        return not later.path.exists()

    @property
    def joining_since(self) -> float | None:
        """When its ranks began to look for each other, in seconds since 1970; None if they have not."""
        return _time_of(self.path.with_suffix(".joining"))

    @property
    def has_joined(self) -> bool:
        """Whether they have found each other."""
        return _time_of(self.path.with_suffix(".joined")) is not None

    def start_again(self) -> None:
        """Its ranks begin anew to look for each other."""
        self.path.with_suffix(".joining").unlink(missing_ok=True)

    @property
    def details(self) -> Details:
        try:
            return Details(**values.fitting(Details, values.read_object(self.path)))
        except (OSError, ValueError):  # just made, or being replaced
            return Details()

    def note(self, **changes: Any) -> None:
        """Adds to what is known of it, values of the fields of Details: how it ended, say. Raises OSError.

        On a full disk it is written over what is there, which has room for it.
        """
        known = dataclasses.replace(self.details, updated=now(), **changes)
        told = {name: value for name, value in vars(known).items() if value is not None}
        content = f"{json.dumps(told, indent=1)}\n".encode().ljust(_ROOM)
        try:
            write_atomically(self.path, content)
        except OSError:
            if len(content) > self.path.stat().st_size:
                raise
            with open(self.path, "r+b", buffering=0) as file:
                file.write(content.ljust(self.path.stat().st_size))


def begin(folder: Path, unit: str, **about: Any) -> Attempt:
    """Makes the next attempt; every earlier one is superseded from here on."""
    folder.mkdir(parents=True, exist_ok=True)
    number = 1 + max((attempt.number for attempt in every(folder, unit)), default=0)
    while True:
        attempt = Attempt(folder, unit, number)
        try:
            os.close(os.open(attempt.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
        except FileExistsError:
            number += 1
            continue
        attempt.note(started=now(), **about)
        return attempt


def every(folder: Path, unit: str | None = None) -> list[Attempt]:
    """All attempts at `unit`, or at whatever there is, oldest first."""
    found = []
    for path in folder.glob("*.json"):
        match = re.fullmatch(r"(.+)-(\d{4,})", path.stem)
        if match and unit in (None, match[1]):
            found.append(Attempt(folder, match[1], int(match[2])))
    return sorted(found, key=lambda attempt: (attempt.unit, attempt.number))


def current() -> Attempt | None:
    """The attempt that this process belongs to; None where jobs run under a launcher that holds the run's lock."""
    path = os.environ.get(VARIABLE)
    if not path:
        return None
    unit, _, number = Path(path).stem.rpartition("-")
    return Attempt(Path(path).parent, unit, int(number))


def mark(word: Literal["joining", "joined"]) -> None:
    """Says how far the ranks of this process's attempt are; for rank 0."""
    attempt = current()
    if attempt is not None:
        attempt.path.with_suffix(f".{word}").touch()


def insist_on_newest() -> None:
    """Raises Superseded if this process belongs to an attempt that is no longer the newest."""
    attempt = current()
    if attempt is not None and not attempt.is_newest:
        raise Superseded(f"{attempt.name} is over: a later attempt has begun")


def _time_of(path: Path) -> float | None:
    try:
        return path.stat().st_mtime
    except OSError:
        return None
