"""A discriminator that finds classes: its network, its losses against NumPy, and a training with it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from test_learner import MODEL, RECIPE, goes_on_to_the_bit, make, sample, weights

from ecgan.checkpoint import tensors
from ecgan.config import ModelConfig, unet_widths
from ecgan.errors import UserError
from ecgan.runtime.warming import warm_training
from ecgan.training.recipe import LossWeights
from jobs.train.settings import TrainSettings

ALONE = dataclasses.replace(
    RECIPE, weights=LossWeights(lambda_vgg=0.0, lambda_feat=0.0, lambda_labelmix=5.0), discriminator="segmentation"
)
BOTH = dataclasses.replace(RECIPE, discriminator="both")
#: Options that say nothing to a U-Net.
OF_PATCHES: list[dict[str, Any]] = [{"num_D": 1}, {"n_layers_D": 3}, {"gan_mode": "ls"}]
#: Of a training on MODEL.
OPTIONS: dict[str, Any] = {
    **{"size": "128x64", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0.0},
    **{"discriminator": "segmentation", "lambda_feat": 0.0},
}


@pytest.fixture(scope="module")
def _compiled() -> None:
    for recipe in (ALONE, BOTH):
        warm_training(MODEL, recipe, 2, "cpu")


def log_softmax(logits: np.ndarray) -> np.ndarray:
    scaled = logits - logits.max(1, keepdims=True)
    return np.asarray(scaled - np.log(np.exp(scaled).sum(1, keepdims=True)))


def test_rare_classes_count_as_much_as_common_ones() -> None:
    from ecgan.training.segmentation_adversarial import balance, class_shares

    labels = np.array([[[0, 0, 0, 2], [0, 0, 0, 255]]], np.uint8)
    shares = class_shares(labels, 3)
    assert shares.tolist() == [6 / 8, 0, 1 / 8]
    counts = balance(labels, shares)
    assert counts.shape == (1, 1, 2, 4) and counts[0, 0, 1, 3] == 0
    assert counts[0, 0][labels[0] == 0].sum() == pytest.approx(4) == counts[0, 0, 0, 3]
    assert not balance(labels, class_shares(np.full_like(labels, 255), 3)).any()


def test_losses_are_those_of_the_paper() -> None:
    from ecgan.runtime import jt
    from ecgan.training import segmentation_adversarial as losses

    random = np.random.default_rng(0)
    logits = random.standard_normal((2, 5, 3, 4)).astype(np.float32)
    labels = random.integers(0, 5, (2, 3, 4)).astype(np.uint8)  # class 4 is none that is told apart
    one_hot = jt.array((labels[:, None] == np.arange(5).reshape(1, -1, 1, 1)).astype(np.float32))
    share = losses.balance(labels, losses.class_shares(labels, 4))
    surprise = -np.take_along_axis(log_softmax(logits.astype(float)), labels[:, None] % 4, 1)
    found = losses.of_classes(jt.array(logits), one_hot, jt.array(share)).item()
    assert found == pytest.approx((surprise * share).mean(), rel=1e-5)
    painted = losses.of_painted(jt.array(logits)).item()
    assert painted == pytest.approx(-log_softmax(logits.astype(float))[:, 4].mean(), rel=1e-5)
    real, fake = (random.standard_normal(logits.shape).astype(np.float32) for _ in range(2))
    mask = random.integers(0, 2, (2, 1, 3, 4)).astype(np.float32)
    mixed = losses.label_mix(*(jt.array(each) for each in (logits, real, fake, mask))).item()
    assert mixed == pytest.approx(((logits - np.where(mask > 0, real, fake)) ** 2).mean(), rel=1e-5)


def test_mixtures_are_of_whole_classes_and_a_function_of_the_sample() -> None:
    from ecgan.training.segmentation_adversarial import regions

    one = sample(0)
    (mask,) = regions([one.labels], [one.generator("labelmix", "D")])
    assert np.array_equal(mask, regions([one.labels], [one.generator("labelmix", "D")])[0])
    assert all(len(np.unique(mask[0][one.labels == label])) == 1 for label in np.unique(one.labels))
    another = dataclasses.replace(one, key=(0, 7, 3))
    draws = [regions([each.labels], [each.generator("labelmix", "D")])[0] for each in (one, another)]
    assert not np.array_equal(*draws)


@pytest.mark.parametrize(
    ("size", "levels"),
    [((64, 32), 5), ((128, 96), 6), ((160, 160), 6), ((224, 128), 6), ((256, 192), 7), ((512, 384), 7)],
)
def test_tensors_are_those_that_files_are_held_against(size: tuple[int, int], levels: int) -> None:
    from ecgan.networks import to_arrays
    from ecgan.networks.segmentation_discriminator import SegmentationDiscriminator
    from ecgan.runtime import jt

    model = ModelConfig(*size, ndf=4, num_upsampling_layers="normal")
    network = SegmentationDiscriminator(model)
    found = {name: array.shape for name, array in to_arrays(network).items()}
    assert found == tensors.of_file("U", model) and len(unet_widths(model)) == levels
    assert network(jt.zeros((1, 3, size[1], size[0]))).shape == [1, 30, size[1], size[0]]


@pytest.mark.slow
def test_nothing_is_left_to_compile_for_the_first_steps(_compiled: None) -> None:
    from ecgan.runtime import jt

    learner = make(ALONE)
    with jt.log_capture_scope(log_v=0, log_vprefix="cache_compile.cc=100") as said:
        for number in range(2):
            learner.step([sample(number), sample(number + 1)], 1e-4)
    assert [each["msg"] for each in said if each["msg"].startswith("Cache key")] == []  # "… of FILE not found."


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "terms"),
    [
        (ALONE, {"KLD", "GAN_Seg", "U_Fake", "U_real", "LabelMix"}),
        (
            BOTH,
            {"KLD", "GAN", "GAN_Feat", "GAN_Seg", "D_Fake", "D_real", "U_Fake", "U_real"},
        ),
    ],
    ids=["alone", "both"],
)
def test_a_training_goes_on_to_the_bit(_compiled: None, recipe: Any, terms: set[str]) -> None:
    batches = [[sample(2 * number), sample(2 * number + 1)] for number in range(3)]
    losses, kept = goes_on_to_the_bit(recipe, batches, recipe.critics)
    assert set(losses) == terms and all(np.isfinite(value) for value in losses.values())
    assert kept == {"G", "E", *recipe.critics, "G_ema", "adam_GE", f"adam_{recipe.critics}"}


@pytest.mark.slow
def test_micro_batches_add_up_to_the_batch() -> None:
    """Classes count by their shares of the whole step's batch, not of the part that goes through U at once."""
    from ecgan.networks.generator import Pictures
    from ecgan.training.batch import Batch
    from ecgan.training.step import discriminator_losses

    learner, samples = make(ALONE), [sample(0), sample(1)]
    learner.initialise(seed=3, gain=1.0)
    shares = learner.class_shares(samples)

    def batch(parts: list[Any], count: int) -> Any:
        part = Batch.of(parts, MODEL.semantic_nc, parts=count, shares=shares, mixes=True)
        dark = (part.photo * 0.5).stop_grad()  # in the place of what G paints, so that each is what it is alone
        return part._replace(painted=Pictures(*[dark] * len(Pictures._fields)))

    whole = learner.gradients(learner._critic, discriminator_losses, [batch(samples, 1)])
    halves = learner.gradients(learner._critic, discriminator_losses, [batch([each], 2) for each in samples])
    assert set(whole.terms) == {"U_Fake", "U_real", "LabelMix"}
    assert halves.terms == pytest.approx(whole.terms, rel=1e-3)  # of LabelMix, a difference, more is rounding
    largest = max(np.linalg.norm(each.numpy()) for each in whole.values)
    for ours, theirs in zip(whole.values, halves.values, strict=True):
        assert np.linalg.norm(ours.numpy() - theirs.numpy()) <= 1e-4 * largest
    steps = [make(dataclasses.replace(ALONE, micro_batch=micro)) for micro in (1, 2)]
    found = []
    for each in steps:
        each.initialise(seed=3, gain=1.0)
        found.append(each.step(samples, 1e-4)["U_real"])
    assert found[0] == pytest.approx(found[1], rel=1e-4) == whole.terms["U_real"]


@pytest.mark.slow
def test_u_learns_to_tell_pixels_apart() -> None:
    learner = make(dataclasses.replace(ALONE, weights=LossWeights(lambda_vgg=0.0, lambda_feat=0.0)))
    learner.initialise(seed=3, gain=1.0)  # with 0.02 its many layers begin with next to nothing
    found = [learner.step([sample(0), sample(1)], 2e-4) for _ in range(16)]
    wrong = [each["U_Fake"] + each["U_real"] for each in found]
    assert wrong[-1] < 0.96 * wrong[0], wrong


@pytest.mark.slow
def test_a_checkpoints_networks_that_are_needed_are_taken(_compiled: None, tmp_path: Path) -> None:
    from ecgan.training import state

    learner = make(ALONE)
    path = state.save(tmp_path, learner, 1, {}).path

    def taken(**options: Any) -> dict[str, Any]:
        settings = TrainSettings(**OPTIONS | options, init_checkpoint=str(path))
        plan: Any = SimpleNamespace(settings=settings, files=settings.trainable.find_files(settings))
        return dict(settings.trainable.first_arrays(plan))

    first = taken()
    again = make(ALONE)
    again.initialise(seed=9)
    again.start_from(first, "it")
    assert set(first) == {"G", "E", "U"}
    assert np.array_equal(weights(again)["U.down.0.conv_0.weight_orig"], first["U"]["down.0.conv_0.weight_orig"])
    assert set(taken(discriminator="patch", lambda_feat=10.0, ndf=8)) == {"G", "E"}
    assert set(taken(size="256x128", num_upsampling_layers="more")) == {"G", "E"}  # its U-Net halves once more
    with pytest.raises(UserError, match="ndf 4 "):
        taken(ndf=8)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"discriminator": "segmentation"}, "lambda_feat"),
        *(({**OPTIONS, **given}, name) for given in OF_PATCHES for name in given),
        ({"discriminator": "segmentation", "lambda_feat": 0.0, "augment": "colour"}, "augment"),
        ({"lambda_labelmix": 1.0}, "lambda_labelmix"),
        ({"discriminator": "both", "image_weight": 0.0, "image2_weight": 0.0}, "discriminator"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=f"--{named} "):
        TrainSettings(**options)
