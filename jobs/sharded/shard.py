"""One shard, whatever its kind makes: its progress file, how it goes on, stops and fails."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from ecgan.errors import UserError, told
from jobs import stop
from jobs.options import in_words
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import Progress
from jobs.run.state import State

Item = TypeVar("Item")


class Share(ABC, Generic[Item]):
    """What one shard has to make: `items`, each of which is whole or not there, wherever a kill hits."""

    #: What is said of it when it ends too early, as "finished pictures are kept".
    kept: ClassVar[str]

    items: Sequence[Item]

    @abstractmethod
    def __init__(self, run: RunDir, number: int) -> None:
        """Shard `number` of the plan in `run`. Raises UserError if that is no plan."""

    @abstractmethod
    def left(self) -> Sequence[Item]:
        """Those of `items` that are not there yet; the others are not made again."""

    @abstractmethod
    def load(self) -> None:
        """Gets ready: networks, say, which may take a while, and are kept for the next shard in this process. Raises
        UserError if it can't be done."""

    @abstractmethod
    def make(self, items: Sequence[Item], progress: Progress) -> bool:
        """Makes these items and counts them in `progress`. Whether all were made or failed; False if it was asked to
        stop (`jobs.stop`) before that.

        Before it writes `attempts.insist_on_newest` must say that it may.
        """

    def size(self, items: Sequence[Item]) -> int:
        """How many they are as the user counts them."""
        return len(items)


@dataclass(frozen=True)
class ShardJob:
    """Makes shard `number` of the plan in `run_dir`; picklable, called where it shall run."""

    run_dir: Path
    number: int
    share: type[Share[Any]]

    def __call__(self) -> None:
        """Called again, it goes on where it ended. What failed is counted in its progress file.

        Raises stop.Stopped if it was asked to stop, and UserError if nothing can be made or written.
        """
        run = RunDir(self.run_dir)
        share = self.share(run, self.number)
        try:
            progress = Progress(run.shards, self.number, share.size(share.items))
            finished = self._make(share, progress)
        except OSError as error:
            raise UserError(f"{told(error, run.path)}; {self.share.kept}, run again") from error
        if not finished:
            raise stop.Stopped(progressed=progress.has_moved)

    def _make(self, share: Share[Any], progress: Progress) -> bool:
        try:
            left = share.left()
            progress.start_from(share.size(share.items) - share.size(left))
            share.load()
            progress.enter(State.RUNNING)
            finished = share.make(left, progress)
        except attempts.Superseded:
            raise
        except Exception as error:
            progress.enter(State.FAILED, in_words(error) if isinstance(error, UserError) else str(error))
            raise
        progress.enter(State.DONE if finished else State.STOPPED)
        return finished
