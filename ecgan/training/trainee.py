"""What the loop, states and runs know of networks in training, whichever they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ecgan.config import ModelConfig
from ecgan.training.loader import LoadedSample


class Trainee(Protocol):
    """Everything that training changes, and the step that changes it."""

    model: ModelConfig

    def step(self, samples: Sequence[LoadedSample], rate: float) -> dict[str, float]:
        """One step on this rank's part of the batch at the base learning rate `rate`. Returns the losses by name."""

    def to_arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The whole state by network; `counters` belong to it."""

    @property
    def counters(self) -> dict[str, int]:
        """Steps that each optimiser has taken."""

    def load(self, read: Callable[[str], dict[str, np.ndarray]], counters: Mapping[str, Any], what: str) -> None:
        """Takes a whole state. `read` gives the arrays of a network by name; errors begin with `what`."""
