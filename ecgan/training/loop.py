"""The training loop: one step after another, each the same on every rank."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ecgan.data.images import BadImage
from ecgan.training.loader import LoadedSample, Loader
from ecgan.training.sampler import Sampler
from ecgan.training.schedule import Schedule
from ecgan.training.trainee import Trainee
from ecgan.training.world import World


class Diverged(Exception):
    """A loss is not a number: the weights are lost, the last saved state is not."""

    def __init__(self, step: int, losses: dict[str, float], names: list[str]) -> None:
        bad = ", ".join(f"{name} is {value}" for name, value in losses.items() if not math.isfinite(value))
        super().__init__(f"step {step}: {bad}")
        self.step, self.losses, self.names = step, losses, names


@dataclass(frozen=True)
class Step:
    """A step that has been taken. `taken`: how many have been, with this one; `losses`: means over the whole batch."""

    taken: int
    epoch: int
    rate: float
    losses: dict[str, float]


def steps(
    learner: Trainee, loader: Loader, sampler: Sampler, schedule: Schedule, world: World, start: int, end: int
) -> Iterator[Step]:
    """Takes the steps from `start` to before `end`; between two of them, all ranks are at the same point.

    Raises Diverged on every rank if a loss is not finite, and BadImage on every rank before a step for which one of
    them can't use a file.
    """
    batches = loader.batches(start, end)
    for number in range(start, end):
        samples = _next(batches, world)
        epoch = sampler.epoch(number)
        rate = schedule.rate(epoch)
        values = learner.step(samples, rate)
        losses = dict(zip(values, world.mean(list(values.values())), strict=True))
        if not all(math.isfinite(value) for value in losses.values()):
            raise Diverged(number + 1, losses, loader.names(number))
        yield Step(number + 1, epoch, rate, losses)


def _next(batches: Iterator[list[LoadedSample]], world: World) -> list[LoadedSample]:
    samples, bad = [], None
    try:
        samples = next(batches)
    except BadImage as error:
        bad = error
    world.insist_on_good(bad)
    return samples
