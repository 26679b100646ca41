"""What is to be done: settings that were checked, and the work that they come to, as the launcher sees both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ecgan.runtime.devices import Device
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.sharded.finish import Finish
from jobs.sharded.shard import ShardJob, Share

#: A line for a person: what it is about, and what it says.
Remark = tuple[str, str]


@dataclass(frozen=True)
class Request:
    """Settings held against the world: what is asked for can be done. Nothing is written yet."""

    run: RunDir

    @property
    def folders(self) -> Sequence[Path]:
        """What must be there in the run's folder before anything is written to it, beside shards/."""
        return ()

    def mend(self) -> None:
        """Puts right what a kill may have left. Needs the lock."""

    def remember(self) -> None:
        """Writes down what was found out of files, for the next start. Needs the lock."""


@dataclass(frozen=True)
class Work(ABC):
    """A plan, and how far it has come. `done` of `total` items are made already, the others are in `shards` parts.

    `memory`: bytes that a process takes which makes a shard, on the CPU.
    """

    run: RunDir
    total: int
    done: int
    shards: int
    device: Device
    memory: int

    kind: ClassVar[Kind]
    #: What makes one shard.
    share: ClassVar[type[Share[Any]]]
    #: Width of the first column where the work is described.
    column: ClassVar[int] = 12

    @abstractmethod
    def describe(self, where: Sequence[Remark]) -> list[Remark]:
        """For a person; `where` it will run belongs among the rows."""

    def describe_shards(self) -> list[str]:
        """Lines on each shard, where there is anything to say of them."""
        return []

    def warnings(self) -> list[str]:
        """What the user should know before it begins."""
        return []

    def complete(self) -> tuple[str, int] | None:
        """If what the user wanted is there already: words that say so, and how many items could not be made."""
        return None

    def compile(self) -> None:  # noqa: B027  # there may be nothing to compile
        """Compiles what the shards will run, in child processes that show their progress, unless that has been done.
        On another machine each shard does."""

    @abstractmethod
    def lay_out(self) -> None:
        """Writes the plan into the run's folder, and clears that of what does not belong to it. Needs the lock."""

    def jobs(self) -> list[ShardJob]:
        return [ShardJob(self.run.path, number, self.share) for number in range(self.shards)]

    @abstractmethod
    def finish(self) -> Finish:
        """What ends it, when no shard runs any more."""
