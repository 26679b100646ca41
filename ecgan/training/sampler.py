"""Which samples make up a step."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.noise import generator_for


@dataclass(frozen=True)
class Sample:
    """One sample of one epoch: which pair, and whether it is flipped left to right."""

    index: int
    epoch: int
    flipped: bool


@dataclass(frozen=True)
class Sampler:
    """Order and flips of `count` pairs in batches of `batch_size`, a function of seed and epoch alone.

    Steps count from 0, epochs from 1. A training resumed at any step goes on with the same samples.
    The last partial batch of an epoch is dropped.
    """

    count: int
    batch_size: int
    seed: int = 0
    shuffled: bool = True
    flips: bool = True

    @property
    def steps_per_epoch(self) -> int:
        return self.count // self.batch_size

    def epoch(self, step: int) -> int:
        return step // self.steps_per_epoch + 1

    def samples(self, step: int) -> list[Sample]:
        epoch, position = self.epoch(step), step % self.steps_per_epoch
        chosen = self._order(epoch)[position * self.batch_size : (position + 1) * self.batch_size]
        return [Sample(index, epoch, self._is_flipped(index, epoch)) for index in chosen]

    def _order(self, epoch: int) -> list[int]:
        if not self.shuffled:
            return list(range(self.count))
        return [int(index) for index in generator_for(self.seed, "order", epoch).permutation(self.count)]

    def _is_flipped(self, index: int, epoch: int) -> bool:
        return self.flips and generator_for(self.seed, "flip", epoch, index).random() < 0.5
