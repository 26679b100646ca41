"""The segmentation network and the step that trains it: photo -> class of every pixel, by cross-entropy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ecgan.checkpoint.segmenter import SEGMENTER
from ecgan.config import ModelConfig, SegformerShape
from ecgan.networks import load_arrays, to_arrays
from ecgan.networks.segformer import Segformer, enlarge
from ecgan.palette import colourise
from ecgan.runtime import jt, nn
from ecgan.segmentation import find_classes
from ecgan.synthesis import to_network
from ecgan.training.initialise import initialise
from ecgan.training.loader import LoadedSample
from ecgan.training.losses import cross_entropy
from ecgan.training.optimise import Optimiser
from ecgan.training.recipe import InitType, Recipe
from ecgan.training.world import World


class SegmenterLearner:
    """A SegFormer-B0 and its optimiser; to the loop and to states the same as `ecgan.training.learner.Learner`."""

    headings: tuple[str, ...] = ("photo", "mask", "found")

    def __init__(self, model: ModelConfig, recipe: Recipe, world: World) -> None:
        """Of `recipe` only Adam and the micro-batch count, of `model` the size and the classes."""
        self.model, self.recipe, self._world = model, recipe, world
        self.network = Segformer(SegformerShape(model.label_nc))
        self.parts: dict[str, nn.Module] = {SEGMENTER: self.network}
        self._optimiser = Optimiser(self.parts, recipe.adam)

    def initialise(self, seed: int, init_type: InitType = "xavier", gain: float = 1.0) -> None:
        initialise(self.network, SEGMENTER, seed, init_type, gain)

    def start_from(self, arrays: Mapping[str, dict[str, np.ndarray]], what: str) -> None:
        load_arrays(self.network, arrays[SEGMENTER], f"network {SEGMENTER} of {what}")

    def step(self, samples: Sequence[LoadedSample], rate: float) -> dict[str, float]:
        """One step on this rank's part of the batch. Returns the cross-entropy in nats a pixel."""
        micro = self.recipe.micro_batch or len(samples)
        parts = [samples[i : i + micro] for i in range(0, len(samples), micro)]
        self.network.train()
        counted = sum(int((sample.labels < self.model.label_nc).sum()) for sample in samples)
        share = max(1.0, self._world.mean([float(counted)])[0])  # the same on all ranks: every pixel weighs as much
        total: list[jt.Var] = []
        value = 0.0
        for part in parts:
            loss = self._surprise(part) / share
            gradients = [each.stop_grad() for each in jt.grad(loss, self._optimiser.parameters)]
            loss = loss.detach()
            total = [(a + b).stop_grad() for a, b in zip(total, gradients, strict=True)] if total else gradients
            jt.sync([*total, loss])  # before the next part's maps
            value += float(loss.item())
        self._optimiser.apply(self._world.average(total), rate)
        jt.sync_all()  # every step starts from values, not from what is still to compute
        return {"cross_entropy": value}

    def paint(self, samples: Sequence[LoadedSample]) -> list[list[np.ndarray]]:
        """A row of (H, W, 3) uint8 pictures for each sample, in the order of `headings`."""
        self.network.eval()
        rows = []
        for sample in samples:
            found = find_classes(self.network, sample.photo, (self.model.width, self.model.height))
            rows.append([sample.photo, colourise(sample.labels), colourise(found.labels)])
        return rows

    def to_arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The whole state by network; `counters` belong to it."""
        return {SEGMENTER: to_arrays(self.network), f"adam_{SEGMENTER}": self._optimiser.to_arrays()}

    @property
    def counters(self) -> dict[str, int]:
        return {f"adam_{SEGMENTER}": self._optimiser.steps}

    def load(self, read: Callable[[str], dict[str, np.ndarray]], counters: Mapping[str, Any], what: str) -> None:
        """Takes a whole state. `read` gives the arrays of a network by name; errors begin with `what`."""
        load_arrays(self.network, read(SEGMENTER), f"network {SEGMENTER} of {what}")
        name = f"adam_{SEGMENTER}"
        self._optimiser.load(read(name), int(counters[name]), f"{name} of {what}")
        jt.sync_all()

    def _surprise(self, samples: Sequence[LoadedSample]) -> jt.Var:
        """Cross-entropy in nats, summed over the pixels that have a class."""
        labels = np.stack([sample.labels for sample in samples])
        classes = np.arange(self.model.label_nc, dtype=np.uint8).reshape(1, -1, 1, 1)
        one_hot = jt.array((labels[:, None] == classes).astype(np.float32)).stop_grad()
        photos = jt.array(to_network(np.stack([sample.photo for sample in samples]))).stop_grad()
        logits = enlarge(self.network(photos).logits, *labels.shape[1:])
        return cross_entropy(logits, one_hot)


def untrained(model: ModelConfig, recipe: Recipe, world: World) -> SegmenterLearner:
    """One that computes as any of its kind."""
    return SegmenterLearner(model, recipe, world)
