"""Everything that training changes, and the step that changes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from ecgan.checkpoint.tensors import OPTIMISER
from ecgan.checkpoint.vgg import shapes
from ecgan.config import ModelConfig, SegformerShape
from ecgan.networks import Discriminator, Encoder, Generator, Segmap, load_arrays, to_arrays
from ecgan.networks.generator import Pictures
from ecgan.networks.layers import SpectralConv
from ecgan.networks.projection import ProjectionHead
from ecgan.networks.segformer import Segformer
from ecgan.networks.segmentation_discriminator import SegmentationDiscriminator
from ecgan.networks.vgg import VGG19Features
from ecgan.runtime import jt, nn
from ecgan.training.batch import Batch
from ecgan.training.guidance import Guide
from ecgan.training.initialise import initialise
from ecgan.training.loader import LoadedSample
from ecgan.training.optimise import Optimiser, Together, trained
from ecgan.training.recipe import InitType, LossWeights, Recipe
from ecgan.training.regularise import Averages
from ecgan.training.samples import HEADINGS, paint
from ecgan.training.segmentation_adversarial import class_shares
from ecgan.training.step import Networks, Outcome, discriminator_losses, generator_losses
from ecgan.training.world import World

Losses = Callable[[Networks, Batch, LossWeights], Outcome]


class Gradients(NamedTuple):
    """Of a whole step. `terms`: this rank's loss terms; `pictures`: what G painted for each of its micro-batches;
    `said`: this rank's mean logits, if any are needed."""

    values: list[jt.Var]
    terms: dict[str, float]
    pictures: list[Pictures]
    said: list[float]


class Learner:
    """E, G, what judges them (D, U or both), a projection head (P) if there is one, their optimisers, and the moving
    averages of G and of what D says if there are any."""

    headings: tuple[str, ...] = HEADINGS

    def __init__(
        self,
        model: ModelConfig,
        recipe: Recipe,
        world: World,
        vgg: Mapping[str, np.ndarray] | None = None,
        guide: Segformer | None = None,
    ) -> None:
        """`vgg`: VGG19's weights, for the perceptual loss; `guide`: a segmentation network, for semantic guidance."""
        self.model, self.recipe, self._world = model, recipe, world
        generator, encoder = Generator(model), Encoder(model)
        discriminator = Discriminator(model) if "D" in recipe.critics else None
        segmentation = SegmentationDiscriminator(model) if "U" in recipe.critics else None
        critics = {name: each for name, each in (("D", discriminator), ("U", segmentation)) if each is not None}
        head = ProjectionHead(model) if recipe.heads else None
        heads = {} if head is None else {"P": head}
        self.parts: dict[str, nn.Module] = {"G": generator, "E": encoder, **critics, **heads}
        features = VGG19Features(vgg) if vgg is not None else None
        self.networks = Networks(
            generator, encoder, discriminator, features, Guide(guide) if guide else None, segmentation, head
        )
        of_painters = {"adam_GE": Optimiser({"G": generator, "E": encoder}, recipe.adam)}
        for name, network in heads.items():
            initialise(network, name, seed=0)  # where a training that had none goes on, it begins so, on all ranks
            of_painters[f"adam_{name}"] = Optimiser({name: network}, recipe.adam)
        self._painters = Together(list(of_painters.values()))
        self._critic = Optimiser(critics, recipe.adam)
        self._moments = of_painters | {f"adam_{recipe.critics}": self._critic}
        self.average: Generator | None = None
        self._spectral: list[SpectralConv] = []
        if recipe.ema_decay:
            self.average = Generator(model)
            self.average.eval()
            layers = (each for each in self.average.modules() if isinstance(each, SpectralConv))
            self._spectral = [each for each in layers if each.spectral]
            self._follow(1.0)
        self._lecam = Averages() if recipe.weights.lambda_lecam else None

    @property
    def steps(self) -> int:
        """How many steps it has taken."""
        return self._critic.steps

    def initialise(self, seed: int, init_type: InitType = "xavier", gain: float = 0.02) -> None:
        for name, network in self.parts.items():
            initialise(network, name, seed, init_type, gain)
        self._follow(1.0)

    def start_from(self, arrays: Mapping[str, dict[str, np.ndarray]], what: str) -> None:
        """Takes the weights of those of its parts that are given; the optimisers begin anew."""
        for name, tensors in arrays.items():
            load_arrays(self.parts[name], tensors, f"network {name} of {what}")
        self._follow(1.0)

    def step(self, samples: Sequence[LoadedSample], rate: float) -> dict[str, float]:
        """One D step, and before it a G step if it is due, on this rank's part of the batch.

        `rate`: the base learning rate. Returns every loss term, weighted, of this rank's part.
        """
        micro = self.recipe.micro_batch or len(samples)
        classes, recipe = self.model.semantic_nc, self.recipe
        with_r1 = bool(recipe.weights.lambda_r1) and self.steps % recipe.weights.r1_every == 0
        micro_batches = [samples[i : i + micro] for i in range(0, len(samples), micro)]
        parts = len(micro_batches) * self._world.size
        shares, mixes = self.class_shares(samples), bool(recipe.weights.lambda_labelmix)
        contrasted = self.model if recipe.heads else None
        batches = [
            Batch.of(each, classes, recipe.spade, parts, recipe.augment, with_r1, shares, mixes, contrasted)
            for each in micro_batches
        ]
        of_painters, of_critic = self.recipe.adam.rates(rate)
        for network in self.parts.values():
            network.train()
        values: dict[str, float] = {}
        if self.steps % self.recipe.d_steps_per_g == 0:
            found = self._improve(self._painters, generator_losses, batches, of_painters)
            values = found.terms
            self._follow(self._ema_share())
            if self.recipe.reuse_fakes:
                batches = [batch._replace(painted=seen) for batch, seen in zip(batches, found.pictures, strict=True)]
        if self._lecam is not None:
            batches = [batch._replace(anchors=self._lecam.anchors) for batch in batches]
        found = self._improve(self._critic, discriminator_losses, batches, of_critic)
        values |= found.terms
        if self._lecam is not None:
            self._lecam.follow(*self._world.mean(found.said))
        jt.sync_all()  # nothing is left to run later: every step starts from values, not from what is still to compute
        return values

    def class_shares(self, samples: Sequence[LoadedSample]) -> np.ndarray | None:
        """Of the step's whole batch, on all ranks, of which `samples` are this rank's; None if nothing needs them."""
        if "U" not in self.recipe.critics:
            return None
        shares = class_shares(np.stack([sample.labels for sample in samples]), self.model.label_nc)
        return np.array(self._world.mean(list(shares)))

    def gradients(self, optimiser: Optimiser | Together, losses: Losses, batches: Sequence[Batch]) -> Gradients:
        """Of the whole step's loss, over all micro-batches and ranks."""
        total: list[jt.Var] = []
        values: dict[str, float] = {}
        painted: list[Pictures] = []
        logits: list[list[float]] = []
        for batch in batches:
            outcome = losses(self.networks, batch, self.recipe.weights)
            watched = [picture for picture, _ in outcome.stages]
            gradients = jt.grad(sum(outcome.terms.values()) / len(batches), [*watched, *optimiser.parameters])
            # Jittor keeps a map for the derivatives that could still be asked for: of anything that Python holds,
            # with respect to anything that Python holds. So it holds results alone, and those as constants.
            gradients = [each.stop_grad() for each in gradients]
            stages = [[term.detach() for term in terms] for _, terms in outcome.stages]
            terms = {name: term.detach() for name, term in outcome.terms.items()}
            pictures, said = outcome.pictures.detached(), [each.detach() for each in outcome.said]
            del outcome, watched
            with _constant([var for network in self.parts.values() for var in trained(network).values()]):
                for stage in stages:  # what D and VGG19 hold of one picture is free before the next
                    jt.sync([gradients.pop(0), *stage], weak_sync=False)
                total = [(a + b).stop_grad() for a, b in zip(total, gradients, strict=True)] if total else gradients
                jt.sync([*total, *pictures, *terms.values(), *said])
            painted.append(pictures)
            logits.append([float(each.item()) for each in said])
            for name, term in terms.items():
                values[name] = values.get(name, 0.0) + float(term.item()) / len(batches)
        means = [sum(each) / len(batches) for each in zip(*logits, strict=True)]
        return Gradients(self._world.average(total), values, painted, means)

    def paint(self, samples: Sequence[LoadedSample]) -> list[list[np.ndarray]]:
        """A row of (H, W, 3) uint8 pictures for each sample, in the order of `headings`."""
        self.networks.encoder.eval()
        return paint(self.painter(), self.networks.encoder, self.segmap, samples)

    def segmap(self, sample: LoadedSample) -> Segmap:
        """Of its mask alone, for a painter; SPADE is computed as in steps."""
        return Segmap(sample.labels[None], self.model.semantic_nc, self.recipe.spade == "exact-sparse")

    def painter(self) -> Generator:
        """The generator to paint samples with, in evaluation mode."""
        generator = self.average or self.networks.generator
        generator.eval()
        return generator

    def to_arrays(self) -> dict[str, dict[str, np.ndarray]]:
        """The whole state by network; `counters` belong to it."""
        arrays = {name: to_arrays(network) for name, network in self.parts.items()}
        if self.average is not None:
            arrays["G_ema"] = to_arrays(self.average)
        if self._lecam is not None:
            arrays["lecam"] = self._lecam.to_arrays()
        return arrays | {name: optimiser.to_arrays() for name, optimiser in self._moments.items()}

    @property
    def counters(self) -> dict[str, int]:
        counters = {name: optimiser.steps for name, optimiser in self._moments.items()}
        return counters | ({} if self._lecam is None else {"lecam": self._lecam.steps})

    def load(self, read: Callable[[str], dict[str, np.ndarray]], counters: Mapping[str, Any], what: str) -> None:
        """Takes a whole state. `read` gives the arrays of a network by name; errors begin with `what`."""
        begin_now = [name for name in self.recipe.heads if f"adam_{name}" not in counters]  # it was trained without
        for name, network in self.parts.items():
            if name not in begin_now:
                load_arrays(network, read(name), f"network {name} of {what}")
        if self.average is not None:
            load_arrays(self.average, read("G_ema"), f"network G_ema of {what}")
        for name, optimiser in self._moments.items():
            if name.removeprefix(OPTIMISER) in begin_now:
                continue
            optimiser.load(read(name), int(counters[name]), f"{name} of {what}")
        if self._lecam is not None and "lecam" in counters:  # else it was trained without, and they begin now
            self._lecam.load(read("lecam"), int(counters["lecam"]), f"lecam of {what}")
        jt.sync_all()

    def _improve(
        self, optimiser: Optimiser | Together, losses: Losses, batches: Sequence[Batch], rate: float
    ) -> Gradients:
        gradients = self.gradients(optimiser, losses, batches)
        optimiser.apply(gradients.values, rate)
        return gradients._replace(values=[])  # or they would be held through the other step

    def _ema_share(self) -> float:
        """How much of the new G enters the average: more in the first steps, whose weights are soon outdated."""
        taken = self._moments["adam_GE"].steps
        return 1 - min(self.recipe.ema_decay, (1 + taken) / (10 + taken))

    def _follow(self, share: float) -> None:
        if self.average is None:
            return
        now = self.networks.generator.state_dict()
        for name, var in self.average.state_dict().items():
            var.update(var + (now[name].detach() - var) * share if share < 1 else now[name].detach())
        if share < 1:
            for layer in self._spectral:  # a mean of unit vectors is none, and of singular ones not the mean weight's
                layer.iterate()


def untrained(model: ModelConfig, recipe: Recipe, world: World) -> Learner:
    """One that computes as any of its kind, with VGG19's weights all zero, and guided by a SegFormer-B0."""
    vgg = {name: np.zeros(shape, np.float32) for name, shape in shapes().items()} if recipe.weights.lambda_vgg else None
    guide = Segformer(SegformerShape(model.label_nc)) if recipe.weights.guided else None
    return Learner(model, recipe, world, vgg, guide)


@contextmanager
def _constant(parameters: Sequence[jt.Var]) -> Iterator[None]:
    """While gradients are computed, none can be asked for."""
    for parameter in parameters:
        parameter.stop_grad()
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.start_grad()
