"""What the loop, states and runs know of networks in training, whichever they are.

The module of each also has a function `untrained(model, recipe, world)` that makes one for nothing but the operators it
needs (`ecgan.runtime.warming`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from ecgan.config import ModelConfig
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import InitType

if TYPE_CHECKING:  # states are listed and checked without Jittor
    from ecgan.runtime import nn


class Trainee(Protocol):
    """Everything that training changes, and the step that changes it.

    `parts`: the networks that learn, by the names of their files in a state. `headings`: of the columns of `paint`.
    """

    model: ModelConfig
    parts: dict[str, nn.Module]
    headings: tuple[str, ...]

    def initialise(self, seed: int, init_type: InitType = ..., gain: float = ...) -> None:
        """Draws the first weights, the same on every rank (`ecgan.training.initialise`)."""

    def start_from(self, arrays: Mapping[str, dict[str, np.ndarray]], what: str) -> None:
        """Takes the weights of those parts that are given; the optimisers begin anew. Errors name `what`."""

    def step(self, samples: Sequence[LoadedSample], rate: float) -> dict[str, float]:
        """One step on this rank's part of the batch at the base learning rate `rate`. Returns the losses by name."""

    def paint(self, samples: Sequence[LoadedSample]) -> list[list[np.ndarray]]:
        """What it makes of `samples`: for each a row of (H, W, 3) uint8 pictures, in the order of `headings`."""

    def to_arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The whole state by network; `counters` belong to it."""

    @property
    def counters(self) -> dict[str, int]:
        """Steps that each optimiser has taken."""

    def load(self, read: Callable[[str], dict[str, np.ndarray]], counters: Mapping[str, Any], what: str) -> None:
        """Takes a whole state. `read` gives the arrays of a network by name; errors begin with `what`."""
