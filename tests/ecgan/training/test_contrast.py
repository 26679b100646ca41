"""The contrast between classes in G's features: its loss against NumPy, what it changes, and a training with it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from test_learner import MODEL, RECIPE, goes_on_to_the_bit, make, sample, weights

from ecgan.checkpoint import tensors
from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.runtime.warming import warm_training
from ecgan.training.recipe import LossWeights
from jobs.train.settings import TrainSettings

CONTRASTED = dataclasses.replace(RECIPE, weights=LossWeights(lambda_vgg=0.0, lambda_contrast=0.5))


@pytest.fixture(scope="module")
def _compiled() -> None:
    warm_training(MODEL, CONTRASTED, 2, "cpu")


def draws(count: int, seed: int = 0) -> list[np.random.Generator]:
    return [np.random.default_rng((seed, number)) for number in range(count)]


def plainly(embeddings: np.ndarray, ids: np.ndarray, classes: int, temperature: float) -> float:
    """Equation 3 of Wang et al., pixel by pixel."""
    similar = embeddings.astype(float) @ embeddings.T.astype(float) / temperature
    of_pixels = []
    for i, own in enumerate(ids):
        same = [j for j, other in enumerate(ids) if j != i and other == own]
        others = [j for j, other in enumerate(ids) if other not in (own, classes)]
        if own < classes and same and others:
            far = np.exp(similar[i, others]).sum()
            of_pixels.append(np.mean([-np.log(np.exp(similar[i, j]) / (np.exp(similar[i, j]) + far)) for j in same]))
    return float(np.mean(of_pixels)) if of_pixels else 0.0


@pytest.mark.parametrize(
    ("ids", "temperature"),
    [
        ([0, 0, 1, 1, 1, 2, 3, 3], 0.07),  # 2 has no other of its class, 3 is none
        ([0, 0, 1, 1, 2, 2, 2, 0], 1.0),
        ([1, 1, 1, 3, 1, 1, 1, 1], 0.07),  # nothing to tell apart
        ([0, 1, 2, 3, 3, 3, 3, 3], 0.07),  # nothing that belongs together
    ],
)
def test_the_loss_is_that_of_the_paper(ids: list[int], temperature: float) -> None:
    from ecgan.runtime import jt
    from ecgan.training.contrast import info_nce, pairs

    embeddings = np.random.default_rng(1).standard_normal((8, 5)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    shares, others = (jt.array(each) for each in pairs(np.array(ids), 3))
    found = info_nce(jt.array(embeddings), shares, others, temperature).item()
    assert found == pytest.approx(plainly(embeddings, np.array(ids), 3, temperature), rel=1e-4, abs=1e-6)


def test_every_class_has_its_part_in_what_is_compared() -> None:
    from ecgan.training.contrast import choose

    labels = np.zeros((2, 16, 20), np.uint8)
    labels[0, :, 18:] = 1  # a tenth
    labels[0, 0, :3] = 2
    labels[1, 1:] = 3  # of no class
    places = choose(labels, 3, draws(2))
    assert places.shape == (256, 3) and len(np.unique(places, axis=0)) == 256
    first, second = (labels[tuple(places[places[:, 0] == number].T)] for number in range(2))
    assert np.bincount(first).tolist() == [93, 32, 3]
    assert np.bincount(second).tolist() == [20, 0, 0, 108]
    assert np.array_equal(places, choose(labels, 3, draws(2)))
    assert not np.array_equal(places, choose(labels, 3, draws(2, seed=1)))


def test_pixels_of_two_layouts_are_compared(_compiled: None) -> None:
    from ecgan.runtime import jt
    from ecgan.training.contrast import Compared

    class Plain:
        def __call__(self, pixels: jt.Var) -> jt.Var:
            return pixels

    left, right = np.zeros((2, MODEL.height, MODEL.width), np.uint8)
    right[:] = 1
    height, width = MODEL.features_size
    head: Any = Plain()
    alone = Compared.of(np.stack([left, left]), MODEL, draws(2))
    both = Compared.of(np.stack([left, right]), MODEL, draws(2))
    alike = np.zeros((2, 2, height, width), np.float32)
    alike[:, 0] = 1
    apart = alike.copy()
    apart[1] = apart[1, ::-1]
    count = both.places.shape[0] // 2
    assert alone.contrast(head, jt.array(alike), 0.5).item() == 0
    assert both.contrast(head, jt.array(alike), 0.5).item() == pytest.approx(np.log(1 + count))
    assert both.contrast(head, jt.array(apart), 0.5).item() == pytest.approx(np.log(1 + count * np.exp(-2)), rel=1e-5)


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        ModelConfig(64, 128, ngf=4, ndf=4),
        ModelConfig(128, 128, ngf=2, ndf=4, num_upsampling_layers="most"),
    ],
    ids=["normal", "more", "most"],
)
def test_features_are_as_large_as_the_model_says(model: ModelConfig) -> None:
    from ecgan.networks import Generator, Segmap, to_arrays
    from ecgan.networks.projection import ProjectionHead
    from ecgan.runtime import jt

    generator, labels = Generator(model), np.zeros((1, model.height, model.width), np.uint8)
    code, segmap = jt.zeros((1, model.z_dim)), Segmap(labels, model.semantic_nc)
    _, features = generator.with_features(code, segmap)
    assert features.shape == [1, 8 * model.ngf, *model.features_size]
    head = ProjectionHead(model)
    assert {name: array.shape for name, array in to_arrays(head).items()} == tensors.of_file("P", model)
    lengths = np.linalg.norm(head(jt.randn((3, 8 * model.ngf))).numpy(), axis=1)
    assert lengths == pytest.approx(np.ones(3), rel=1e-3)


@pytest.mark.slow
def test_g_learns_from_it_up_to_the_block_that_is_compared(_compiled: None) -> None:
    from ecgan.runtime import jt
    from ecgan.training.batch import Batch
    from ecgan.training.step import generator_losses

    learner = make(CONTRASTED)
    learner.initialise(seed=3, gain=0.5)
    batch = Batch.of([sample(0), sample(1)], MODEL.semantic_nc, contrasted=MODEL)
    term = generator_losses(learner.networks, batch, CONTRASTED.weights).terms["Contrast"]
    assert term.item() > 0
    generator, head = learner.networks.generator, learner.networks.head
    reached = [generator.fc.weight, generator.up_0.conv_1.weight_orig, head.hidden.weight, head.out.weight]
    not_reached = generator.up_1.conv_0.weight_orig
    *slopes, none = jt.grad(term, [*reached, not_reached])
    assert all(np.abs(slope.numpy()).max() > 0 for slope in slopes) and not none.numpy().any()


@pytest.mark.slow
def test_nothing_is_left_to_compile_for_the_first_steps(_compiled: None) -> None:
    from ecgan.runtime import jt

    learner = make(dataclasses.replace(CONTRASTED, weights=dataclasses.replace(CONTRASTED.weights, lambda_contrast=2)))
    with jt.log_capture_scope(log_v=0, log_vprefix="cache_compile.cc=100") as said:
        for number in range(2):
            learner.step([sample(number), sample(number + 1)], 1e-4)
    assert [each["msg"] for each in said if each["msg"].startswith("Cache key")] == []  # "… of FILE not found."


@pytest.mark.slow
def test_classes_come_apart(_compiled: None) -> None:
    learner = make(dataclasses.replace(CONTRASTED, weights=LossWeights(lambda_vgg=0.0, lambda_contrast=1.0)))
    learner.initialise(seed=3, gain=0.5)
    found = [learner.step([sample(0), sample(1)], 2e-3)["Contrast"] for _ in range(12)]
    assert found[-1] < 0.8 * found[0], found


@pytest.mark.slow
@pytest.mark.parametrize("micro_batch", [None, 2])
def test_a_training_goes_on_to_the_bit(_compiled: None, micro_batch: int | None) -> None:
    count = 2 if micro_batch is None else 4
    batches = [[sample(count * step + number) for number in range(count)] for step in range(3)]
    recipe = dataclasses.replace(CONTRASTED, micro_batch=micro_batch)
    losses, kept = goes_on_to_the_bit(recipe, batches, "DP")
    assert np.isfinite(losses["Contrast"])
    assert kept == {"G", "E", "D", "P", "G_ema", "adam_GE", "adam_P", "adam_D"}


@pytest.mark.slow
def test_a_training_may_begin_and_cease_to_contrast(_compiled: None) -> None:
    plain = make()
    plain.step([sample(0), sample(1)], 1e-3)
    arrays, counters = plain.to_arrays(), plain.counters
    begun = []
    for _ in range(2):
        learner = make(CONTRASTED)
        learner.initialise(seed=9)
        learner.load(lambda name: arrays[name], counters, "state")
        begun.append(weights(learner))
    learner.step([sample(2), sample(3)], 1e-3)
    assert learner.counters == {"adam_GE": 2, "adam_P": 1, "adam_D": 2}
    assert all(np.array_equal(each, begun[1][name]) for name, each in begun[0].items())
    again, contrasted = make(), learner.to_arrays()
    again.load(lambda name: contrasted[name], learner.counters, "state")
    assert set(again.to_arrays()) == set(arrays)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"lambda_contrast": 1.0}, "--lambda_contrast .*--batch_size is 1"),
        ({"lambda_contrast": 1.0, "batch_size": 4, "micro_batch": 1}, "--lambda_contrast .*--micro_batch is 1"),
        ({"lambda_contrast": 1.0, "batch_size": 4, "label_nc": 1}, "--lambda_contrast .*--label_nc is 1"),
        ({"contrast_temperature": 0.1, "batch_size": 4}, "--contrast_temperature .*--lambda_contrast is 0"),
    ],
)
def test_options_that_do_not_fit_are_refused(options: dict[str, Any], named: str) -> None:
    with pytest.raises(UserError, match=named):
        TrainSettings(**options)
