"""What a command asks of a cluster's scheduler, and nothing else. `slurm.slurm` is one; `slurm.schedulers` has all."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from jobs.run.state import State
from jobs.run.submission import JobKind
from slurm.processes.starters import Check


@dataclass(frozen=True)
class Batch:
    """Jobs that are submitted together; several are an array. They run supervised: an attempt at `unit` each.

    `kind` decides what each gets of a cluster: a training all of its nodes, a shard one device, what compiles ahead as
    much as a shard, a merge and a step no device.
    `jobs`: callables that can be pickled, by unit. `environment`: of their shell. `after`: ids of what they wait for,
    however that ends.
    """

    kind: JobKind
    name: str
    jobs: Mapping[str, Callable[[], Any]]
    environment: Mapping[str, str]
    after: Sequence[str] = ()


@dataclass(frozen=True)
class JobState:
    """`id` of a job or an element of an array, as "123" or "123_4"; `state` and `reason` in the scheduler's words,
    `standing` in ours: RUNNING (or waiting), STOPPING, DONE, CANCELLED or DIED. `nodes` empty if none."""

    id: str
    state: str
    standing: State
    reason: str = ""
    nodes: str = ""

    @property
    def is_over(self) -> bool:
        """Whether it has ended, for good as far as the scheduler knows."""
        return not self.standing.goes_on


class Cluster(ABC):
    """A cluster that jobs can be sent to, as its file and the options describe it.

    `settings`: all that was given, a dataclass. A training has `ranks_per_node` on each of `nodes`, and there
    `gpus_per_node`. `at_once`: shards that run at the same time at most. `threads` of each process, as far as that is
    said. `notify`: the user's command that is run when a run ends, as `jobs.run.notify` has it.
    """

    scheduler: Scheduler
    settings: Any
    nodes: int
    ranks_per_node: int
    gpus_per_node: int
    at_once: int
    threads: str | int | None
    notify: str | None

    @abstractmethod
    def insist_on_usable(self, run: Path) -> None:
        """Raises UserError if jobs can't have their files in the folder `run`, whatever lies there."""

    @abstractmethod
    def submit(self, run: Path, batch: Batch) -> str:
        """Returns the id. Raises UserError, in the scheduler's own words, if it is refused."""

    @abstractmethod
    def text(self, run: Path, batch: Batch) -> str:
        """What `submit` would hand over."""

    @abstractmethod
    def would_accept(self, run: Path, batch: Batch) -> tuple[bool, str]:
        """Whether it would be taken, and the scheduler's words on that."""


class Scheduler(ABC):
    """`name`: as --cluster and a run's folder have it; `title`: as people do.

    `options`: a dataclass with what it adds to the commands that can send work to it, where None leaves it to the
    cluster's file; an option with the mark `kinds` is for such jobs alone, and one of the same name as another
    scheduler's is both's. `checks`: for the doctor, once the scheduler
    answers.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    options: ClassVar[type]
    checks: ClassVar[Sequence[Check]]

    @abstractmethod
    def has_started_us(self) -> bool:
        """Whether this process is in one of its jobs."""

    @abstractmethod
    def answers(self) -> tuple[bool, str]:
        """Whether there is one that answers, and what to tell the user about it."""

    def is_silence(self, words: str) -> bool:
        """Whether what `answers` told is of one that is there and gives no answer: the same may work later."""
        return False

    @abstractmethod
    def cluster(self, path: Path | None, given: Mapping[str, Any]) -> Cluster:
        """The cluster in the file `path` (None: all defaults), with those of its `options` that are `given`, and
        perhaps `notify`. Raises UserError that names what is wrong."""

    @abstractmethod
    def job_states(self, ids: Sequence[str]) -> dict[str, JobState] | None:
        """What is known of jobs, and of the elements of arrays, by id. None if nobody answers."""

    @abstractmethod
    def cancel(self, ids: Sequence[str]) -> tuple[bool, str]:
        """Ends jobs, running or not, or says why it can't; those that have ended already are no error."""
