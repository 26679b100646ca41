"""What the launcher, the plan and the run know of a network that can be trained, whichever it is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Generic, TypeVar

import numpy as np

from ecgan.config import ModelConfig
from ecgan.training.recipe import Recipe
from jobs.train.files import Files

if TYPE_CHECKING:  # the settings ask their network what they mean to it; and what is trained needs Jittor
    from ecgan.training.evaluation import Evaluate
    from ecgan.training.trainee import Trainee
    from ecgan.training.world import World
    from jobs.train.plan import TrainPlan
    from jobs.train.settings import TrainSettings

Trained = TypeVar("Trained", bound="Trainee")


class Trainable(ABC, Generic[Trained]):
    """The half of a network in training that needs no Jittor; `build` makes the other (`ecgan.training.trainee`).

    Its own options are those of `TrainSettings` that name it with `of`.
    """

    #: How it is called in messages.
    title: str
    #: What one does with a run that is done, in words that end where the run's folder is named.
    use: str
    #: Losses that tell how far what it makes is from what it should; the best state is chosen by their sum where no
    #: pairs are held out; none of them where no state is to be the best then.
    likeness: tuple[str, ...] = ()

    @abstractmethod
    def model(self, settings: TrainSettings) -> ModelConfig:
        """What decides its tensors and the size of photos and masks. Raises UserError if there can be none such."""

    @abstractmethod
    def recipe(self, settings: TrainSettings) -> Recipe:
        """How it learns."""

    @abstractmethod
    def widths(self, settings: TrainSettings) -> str:
        """How large the network is, for the plan that is shown."""

    def rows(self, plan: TrainPlan) -> list[tuple[str, str]]:
        """What else the plan that is shown says: titles and texts."""
        return []

    @abstractmethod
    def find_files(self, settings: TrainSettings) -> Files:
        """The files that its training reads, each opened: a damaged one must not be found out on a compute node.

        Raises UserError naming what is missing, damaged or does not fit; also of a checkpoint to start from.
        """

    @abstractmethod
    def state_size(self, settings: TrainSettings) -> int:
        """Bytes of a state on disk."""

    @abstractmethod
    def compile(self, plan: TrainPlan) -> None:
        """Compiles what its ranks will run, in child processes, unless that has been done."""

    @abstractmethod
    def build(self, plan: TrainPlan, world: World) -> Trained:
        """The network in training, on this rank, with weights still to be drawn or loaded. Jittor has been started."""

    @abstractmethod
    def first_arrays(self, plan: TrainPlan) -> Mapping[str, dict[str, np.ndarray]]:
        """Tensors of the checkpoint that `plan` starts from, by part of the network."""

    @abstractmethod
    def evaluation(self, plan: TrainPlan, trainee: Trained, world: World, say: Callable[[str], None]) -> Evaluate:
        """What measures it on the pairs held out, for all ranks together; `say` is rank 0's log.

        Raises UserError if what it needs can't be used.
        """
