"""The end of sharded work: what all shards have made becomes what the user wanted, or what is missing is named."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from ecgan.errors import UserError


@dataclass(frozen=True)
class Finish(ABC):
    """Ends the work in `run_dir`; picklable, called where it shall run, when no shard runs any more."""

    run_dir: Path

    @abstractmethod
    def __call__(self) -> int:
        """How many items there are not: 0 if all is as it was asked for. Says how it went, to a person and in the
        run's record. Raises UserError if there is no end to be made of it."""

    @abstractmethod
    def lack(self, count: int) -> str:
        """Says that so many items are not there, and where to read which."""

    def note_failures(self) -> int:
        """Writes down what failed, also where it can't come to its end; how many items that are."""
        return 0

    def outcome(self) -> tuple[list[str], int]:
        """After it was called elsewhere: what it came to, in lines for a person, and how many items there are not."""
        return [], 0


@dataclass(frozen=True)
class FinishJob:
    """`finish` as a job of its own, which fails if anything is missing."""

    finish: Finish

    def __call__(self) -> None:
        """Raises UserError if items are missing."""
        if count := self.finish():
            raise UserError(self.finish.lack(count))
