"""Losses and one step of training against the original's own, and the modes it never ran.

docs/specification.md, section 7.
"""

from __future__ import annotations

import json
import re
from contextlib import nullcontext
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import draw_mask, draw_photo
from PIL import Image

from ecgan.checkpoint import open_checkpoint
from ecgan.checkpoint.vgg import shapes
from ecgan.config import ModelConfig, Spade
from ecgan.data.edges import edge_map
from ecgan.training.recipe import LossWeights

#: Biases whose effect the BatchNorms behind them take away: their gradient is rounding, which Adam makes a step of.
NO_GRADIENT = re.compile(r"G\.(head|G_middle|up)_\d\.(conv_[01]\.bias|norm_s\.mlp_beta\.bias)")

#: The fixture was made without the perceptual loss.
WITHOUT_VGG = LossWeights(lambda_vgg=0.0)


def samples(original: Path, z_dim: int) -> list[Any]:
    """The fixture's batch of two, with z = mu."""
    from ecgan.training.loader import LoadedSample

    def read(name: str, mode: str) -> np.ndarray:
        return np.asarray(Image.open(original / f"{name}.png").convert(mode))

    return [
        LoadedSample(
            f"{i}", read(f"mask_{i}", "L"), read(f"ref_{i}", "RGB"), read(f"edge_{i}", "L"), np.zeros((2, z_dim), "f")
        )
        for i in (0, 1)
    ]


def load(original: Path, spade: Spade = "exact-sparse") -> tuple[Any, Any]:
    """Networks of the fixture in training mode, and its batch."""
    from ecgan.networks import Discriminator, Encoder, Generator, load_arrays
    from ecgan.training.batch import Batch
    from ecgan.training.step import Networks

    checkpoint = open_checkpoint(original)
    networks = Networks(Generator(checkpoint.model), Encoder(checkpoint.model), Discriminator(checkpoint.model))
    for name, network in (("G", networks.generator), ("E", networks.encoder), ("D", networks.discriminator)):
        load_arrays(network, checkpoint.arrays(name), name)
        network.train()
    return networks, Batch.of(samples(original, checkpoint.model.z_dim), checkpoint.model.semantic_nc, spade)


@pytest.fixture(scope="module")
def expected(original: Path) -> dict[str, Any]:
    return dict(json.loads((original / "expected_train.json").read_text()))


@pytest.mark.parametrize("spade", get_args(Spade))
def test_losses_agree_with_the_original(original: Path, expected: dict[str, Any], spade: Spade) -> None:
    from ecgan.training.step import discriminator_losses, generator_losses

    networks, batch = load(original, spade)
    computed = generator_losses(networks, batch, WITHOUT_VGG).terms
    for name, value in expected["generator_losses_train_mode"].items():
        assert computed[name].item() == pytest.approx(value, rel=1e-4), name
    networks, batch = load(original, spade)
    computed = discriminator_losses(networks, batch, WITHOUT_VGG).terms
    for name, value in expected["discriminator_losses_train_mode"].items():
        assert computed[name].item() == pytest.approx(value, rel=1e-4), name


@pytest.mark.slow
@pytest.mark.parametrize("spade", get_args(Spade))
def test_one_step_changes_the_weights_as_the_original_does(
    original: Path, expected: dict[str, Any], spade: Spade
) -> None:
    from ecgan.networks import to_arrays
    from ecgan.training.learner import Learner
    from ecgan.training.recipe import Recipe
    from ecgan.training.world import World

    checkpoint = open_checkpoint(original)
    learner = Learner(checkpoint.model, Recipe(WITHOUT_VGG, spade=spade), World(0, 1, ["here"], None))
    learner.start_from({name: checkpoint.arrays(name) for name in ("G", "E", "D")}, "the fixture")
    before = {f"{part}.{name}": a for part, network in learner.parts.items() for name, a in to_arrays(network).items()}
    learner.step(samples(original, checkpoint.model.z_dim), rate=2e-4)
    after = {f"{part}.{name}": a for part, network in learner.parts.items() for name, a in to_arrays(network).items()}

    changes = expected["change_in_one_step"]
    assert len(changes) > 150 and changes.keys() <= before.keys()
    close = []
    for name, wanted in changes.items():
        change = after[name].astype(np.float64) - before[name]
        total = np.abs(change).sum()
        if NO_GRADIENT.fullmatch(name):
            assert total == pytest.approx(wanted["sum_abs_change"], rel=0.5, abs=1e-9), name
            continue
        assert total == pytest.approx(wanted["sum_abs_change"], rel=0.02, abs=1e-9), name
        sampled = change.ravel()[wanted["sample_index"]]
        close += list(np.isclose(sampled, wanted["sample_change"], rtol=0.05, atol=1e-9))
    assert np.mean(close) >= 0.99, np.mean(close)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["G and E", "D"])
def test_nothing_is_lost_by_what_is_saved(side: str) -> None:
    """Losses and gradients of the step as it is worded, every picture judged and looked at anew, are the same.

    With our convolutions up to their rounding. Through this net, with its leaky ReLUs and distances, gradients of all
    weights together change by 0.2 % if each weight changes by 1e-7 of itself; so much they differ here, too.
    """
    import plain_step

    from ecgan.networks import Discriminator, Encoder, Generator
    from ecgan.networks.vgg import VGG19Features
    from ecgan.runtime import jt
    from ecgan.training import step
    from ecgan.training.batch import Batch
    from ecgan.training.initialise import initialise
    from ecgan.training.loader import LoadedSample
    from ecgan.training.optimise import trained

    model = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")
    chance = np.random.default_rng(4)
    vgg = {name: chance.standard_normal(shape).astype("f") * 0.05 for name, shape in shapes().items()}
    networks = step.Networks(Generator(model), Encoder(model), Discriminator(model), VGG19Features(vgg))
    for number, network in enumerate((networks.generator, networks.encoder, networks.discriminator)):
        initialise(network, "GED"[number], seed=1, gain=0.5)
        network.train()
    batch = Batch.of(
        [
            LoadedSample("s", draw_mask(i), draw_photo(i), edge_map(draw_photo(i)), chance.standard_normal((2, 256)))
            for i in (0, 1)
        ],
        model.semantic_nc,
        "dense",
        parts=3,
    )
    learning = [networks.discriminator] if side == "D" else [networks.generator, networks.encoder]
    parameters = [var for network in learning for var in trained(network).values()]
    found = []
    for losses, convolutions in ((plain_step, nullcontext()), (step, plain_step.jittors_own), (step, nullcontext())):
        one = losses.discriminator_losses if side == "D" else losses.generator_losses
        with convolutions:
            terms = one(networks, batch, LossWeights()).terms
        gradients = jt.grad(sum(terms.values()), parameters)
        found.append(({name: term.item() for name, term in terms.items()}, [each.numpy() for each in gradients]))
    plain_terms, plain = found[0]
    largest = max(np.linalg.norm(each) for each in plain)
    for (terms, saved), of_terms, of_each, of_largest in ((found[1], 1e-5, 1e-3, 5e-5), (found[2], 1e-4, 5e-3, 5e-4)):
        assert terms == pytest.approx(plain_terms, rel=of_terms) and len(terms) == (2 if side == "D" else 4)
        for ours, theirs in zip(saved, plain, strict=True):
            assert np.linalg.norm(ours - theirs) <= of_each * np.linalg.norm(theirs) + of_largest * largest


@pytest.mark.parametrize("mode", ["hinge", "ls", "original", "w"])
def test_every_gan_mode_tells_real_from_fake(mode: Any) -> None:
    from ecgan.runtime import jt
    from ecgan.training.losses import adversarial_discriminator, adversarial_generator

    def verdict(value: float) -> list[list[Any]]:
        return [[jt.array([0.0]), jt.array([value])], [jt.array([0.0]), jt.array([value])]]

    assert (
        adversarial_discriminator(verdict(2.0), True, mode).item()
        < adversarial_discriminator(verdict(-2.0), True, mode).item()
    )
    assert (
        adversarial_discriminator(verdict(-2.0), False, mode).item()
        < adversarial_discriminator(verdict(3.0), False, mode).item()
    )
    assert adversarial_generator(verdict(1.0), mode).item() < adversarial_generator(verdict(-1.0), mode).item()
