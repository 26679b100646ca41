"""Jobs for several ranks: the gradients of a training's first step, and what must not go on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.trainset import find_training_set
from ecgan.runtime import starting
from ecgan.training.recipe import LossWeights, Recipe
from ecgan.training.sampler import Sampler

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")


@dataclass(frozen=True)
class GradientJob:
    data: Path
    output: Path
    ranks: int

    def __call__(self) -> None:
        starting.start("cpu")
        from ecgan.training.batch import Batch
        from ecgan.training.learner import Learner
        from ecgan.training.loader import Loader
        from ecgan.training.step import discriminator_losses, generator_losses
        from ecgan.training.world import join

        world = join(self.ranks)
        recipe = Recipe(LossWeights(lambda_vgg=0.0, lambda_labelmix=1.0), discriminator="both")
        learner = Learner(MODEL, recipe, world)
        learner.initialise(seed=1, gain=0.5)  # large enough for gradients that stand out from rounding
        pairs = find_training_set(self.data).pairs
        (samples,) = Loader(pairs, MODEL, Sampler(len(pairs), 4), world.rank, world.size).batches(0, 1)
        shares = learner.class_shares(samples)
        batch = [Batch.of(samples, MODEL.semantic_nc, parts=self.ranks, shares=shares, mixes=True)]
        gradients = {}
        for name, optimiser, losses in (
            ("GE", learner._painters, generator_losses),
            ("D", learner._critic, discriminator_losses),
        ):
            values = learner.gradients(optimiser, losses, batch).values
            gradients |= {f"{name}{number}": value.numpy() for number, value in enumerate(values)}
        statistics = learner.networks.generator.up_0.norm_0.param_free_norm
        gradients |= {"mean": statistics.running_mean.numpy(), "var": statistics.running_var.numpy()}
        if world.is_first:
            np.savez(self.output, **gradients)
        world.wait()


@dataclass(frozen=True)
class ResumeJob:
    """Three steps in one go, and by a learner that goes on after the first; then the names of tensors that differ."""

    data: Path
    output: Path
    recipe: Recipe

    def __call__(self) -> None:
        starting.start("cpu")
        from ecgan.training.learner import Learner
        from ecgan.training.loader import Loader
        from ecgan.training.world import join

        world = join(2)
        pairs = find_training_set(self.data).pairs
        batches = list(Loader(pairs, MODEL, Sampler(len(pairs), 4), world.rank, world.size).batches(0, 3))
        whole, first, second = (Learner(MODEL, self.recipe, world) for _ in range(3))
        for learner in (whole, first):
            learner.initialise(seed=1, gain=0.5)
        for batch in batches:
            losses = whole.step(batch, 1e-3)
        first.step(batches[0], 1e-3)
        arrays = first.to_arrays()
        second.load(lambda name: arrays[name], first.counters, "state")
        for batch in batches[1:]:
            second.step(batch, 1e-3)
        world.insist_on_equal_weights(second.parts)
        ours, theirs = whole.to_arrays(), second.to_arrays()
        odd = [
            f"{part}.{name}"
            for part, tensors in ours.items()
            for name, tensor in tensors.items()
            if not np.array_equal(tensor, theirs[part][name])
        ]
        if world.is_first:
            self.output.write_text(json.dumps({"odd": odd, "losses": losses, "parts": sorted(ours)}))
        world.wait()


@dataclass(frozen=True)
class OddJob:
    """Rank 1 does something else than the others."""

    what: str

    def __call__(self) -> None:
        import os
        import time

        from ecgan.errors import UserError

        if os.environ["OMPI_COMM_WORLD_RANK"] == "1":
            if self.what == "mistake":
                raise UserError("rank 1 can't find its file")
            if self.what == "crash":
                raise ValueError("rank 1 has a bug")
            os.abort()
        time.sleep(600)


@dataclass(frozen=True)
class StrangersJob:
    """Every rank begins with weights of its own."""

    def __call__(self) -> None:
        starting.start("cpu")
        from ecgan.training.learner import Learner
        from ecgan.training.world import join

        world = join(2)
        learner = Learner(MODEL, Recipe(LossWeights(lambda_vgg=0.0)), world)
        learner.initialise(seed=world.rank)
        world.insist_on_equal_weights(learner.parts)


class Nothing:
    """Done at once."""

    def __call__(self) -> None:
        """Nothing."""


@dataclass(frozen=True)
class Meet:
    """Ranks meet, so that they share memory; then each says so in `folder` and works until it is asked to stop."""

    folder: Path
    ranks: int

    def __call__(self) -> None:
        import time

        from jobs import stop

        starting.start("cpu")
        from ecgan.training.world import join

        world = join(self.ranks)
        stop.listen()
        (self.folder / f"met-{world.rank}").touch()
        while not stop.requested():
            time.sleep(0.05)
        raise stop.Stopped


@dataclass(frozen=True)
class Sleep:
    """Meets nobody and does not end."""

    def __call__(self) -> None:
        import time

        print("asleep", flush=True)
        time.sleep(600)


@dataclass(frozen=True)
class FillDisk:
    """Prints until the disk with its log is full, then fails to write a file in `folder` as well."""

    folder: Path

    def __call__(self) -> None:
        from ecgan.files import write_atomically

        for _ in range(4000):
            print("x" * 1000)
        write_atomically(self.folder / "result", bytes(1 << 21))


@dataclass(frozen=True)
class Say:
    """Prints what Jittor would take for its place."""

    def __call__(self) -> None:
        import os

        print(*(os.environ[f"OMPI_COMM_WORLD_{name}"] for name in ("RANK", "SIZE", "LOCAL_RANK")), flush=True)
