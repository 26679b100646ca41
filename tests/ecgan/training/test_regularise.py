"""LeCam regularisation and the approximated R1: by hand, in the step, and going on after a state."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_learner import MODEL, make, sample

from ecgan.errors import UserError
from ecgan.synthesis import to_network
from ecgan.training.recipe import LossWeights, Recipe

WEIGHTS = LossWeights(lambda_vgg=0.0, lambda_lecam=0.3, lambda_r1=2.0, r1_sigma=0.2, r1_every=2)
RECIPE = Recipe(WEIGHTS, augment=("colour", "translation", "cutout"))


def said(seed: int) -> list[np.ndarray]:
    """Logits of two scales."""
    random = np.random.default_rng(seed)
    return [random.standard_normal((2, 1, *size)).astype(np.float32) for size in ((5, 7), (3, 4))]


def verdict(logits: list[np.ndarray]) -> list[list[Any]]:
    from ecgan.runtime import jt

    return [[jt.zeros((2, 4, 9, 9)), jt.array(each)] for each in logits]


def test_lecam_by_hand() -> None:
    from ecgan.runtime import jt
    from ecgan.training.regularise import lecam, mean_logits

    logits = said(0)
    judged = verdict(logits)
    loss = lecam(judged, jt.array(np.full((1, 1, 1, 1), 0.4, np.float32)))
    assert loss.item() == pytest.approx(np.mean([((each - 0.4) ** 2).mean() for each in logits]))
    for layers, each in zip(judged, logits, strict=True):
        assert np.allclose(jt.grad(loss, layers[-1]).numpy(), (each - 0.4) / each.size, atol=1e-6)
    assert mean_logits(judged).item() == pytest.approx(np.mean([each.mean() for each in logits]), abs=1e-6)


def test_r1_by_hand() -> None:
    from ecgan.runtime import jt
    from ecgan.training.regularise import approximate_r1

    plain, noisy = said(0), said(1)
    judged, other = verdict(plain), verdict(noisy)
    loss = approximate_r1(judged, other)
    assert loss.item() == pytest.approx(np.mean([((a - b) ** 2).mean() for a, b in zip(plain, noisy, strict=True)]))
    for side, sign in ((judged, 1), (other, -1)):
        for scale, (a, b) in enumerate(zip(plain, noisy, strict=True)):
            assert np.allclose(jt.grad(loss, side[scale][-1]).numpy(), sign * (a - b) / a.size, atol=1e-6)


def test_averages_by_hand() -> None:
    from ecgan.training.regularise import Averages

    averages, values = Averages(), np.random.default_rng(2).standard_normal((9, 2))
    assert [each.item() for each in averages.anchors] == [0, 0]
    for real, fake in values:
        averages.follow(real, fake)
    shares = 0.99 ** np.arange(8, -1, -1)
    wanted = shares @ values / shares.sum()
    assert np.allclose(averages.values, wanted)
    assert np.allclose([each.item() for each in averages.anchors], wanted[::-1])  # what is real is held to the fakes
    other = Averages()
    other.load(averages.to_arrays(), averages.steps, "it")
    for each in (averages, other):
        each.follow(1.0, 2.0)
    assert np.array_equal(averages.values, other.values)
    with pytest.raises(UserError, match="^it "):
        other.load({"averages": np.zeros(3)}, 1, "it")


def critic_batch(learner: Any, samples: list[Any], parts: int = 1) -> Any:
    """Of D's step, with the samples' own photos, darkened, for G's pictures; so that each is what it is alone."""
    from ecgan.networks.generator import Pictures
    from ecgan.runtime import jt
    from ecgan.training.batch import Batch

    batch = Batch.of(samples, MODEL.semantic_nc, parts=parts, augment=RECIPE.augment, with_r1=True)
    dark = (batch.photo * 0.5).stop_grad()
    anchors = tuple(jt.array(np.full((1, 1, 1, 1), value, np.float32)) for value in (-0.3, 0.2))
    return batch._replace(painted=Pictures(*[dark] * len(Pictures._fields)), anchors=anchors)


def keyed(index: int) -> Any:
    return dataclasses.replace(sample(index), key=(3, 1, index))


def lively() -> Any:
    """D says different things of different pictures."""
    learner = make(RECIPE)
    learner.initialise(seed=3, gain=0.5)
    return learner


@pytest.mark.slow
def test_terms_of_the_step_by_hand() -> None:
    from ecgan.runtime import jt
    from ecgan.training.augment import Views
    from ecgan.training.step import discriminator_losses

    learner, samples = lively(), [keyed(0), keyed(1)]
    batch = critic_batch(learner, samples)
    outcome = discriminator_losses(learner.networks, batch, WEIGHTS)
    views = Views(RECIPE.augment, [each.generator("augment", "D") for each in samples], (64, 128))

    def logits(picture: np.ndarray, edge: bool = False) -> list[np.ndarray]:
        mask, shown = views.of_mask(batch.segmap.at(64, 128)), views.of_picture(jt.array(picture), edge)
        return [layers[-1].numpy() for layers in learner.networks.discriminator(jt.concat([mask, shown], dim=1))]

    def distance(ours: list[np.ndarray], theirs: Any) -> float:
        return float(np.mean([((a - b) ** 2).mean() for a, b in zip(ours, theirs, strict=True)]))

    photo = to_network(np.stack([each.photo for each in samples]))
    edge = to_network(np.stack([np.repeat(each.edge[..., None], 3, 2) for each in samples]))
    fakes = [(2, logits(photo / 2)), (1, logits(photo / 2)), (1, logits(photo / 2, edge=True))]
    reals, r1 = [], 0.0
    for weight, picture, name in ((3, photo, "photo"), (1, edge, "edge")):
        noise = [each.generator("R1", name).standard_normal((3, 64, 128), dtype=np.float32) for each in samples]
        reals.append((weight, logits(picture, name == "edge")))
        r1 += weight * distance(reals[-1][1], logits(picture + np.float32(0.2) * np.stack(noise), name == "edge"))
    lecam = sum(weight * distance(each, (-0.3, -0.3)) for weight, each in reals)
    lecam += sum(weight * distance(each, (0.2, 0.2)) for weight, each in fakes)
    assert outcome.terms["R1"].item() == pytest.approx(2.0 * 2 * r1, rel=1e-3) and r1 > 1e-4
    assert outcome.terms["LeCam"].item() == pytest.approx(0.3 * lecam, rel=1e-4)
    means = [sum(w * np.mean([s.mean() for s in each]) for w, each in side) / 4 for side in (reals, fakes)]
    assert [each.item() for each in outcome.said] == pytest.approx(means, rel=1e-4)


@pytest.mark.slow
def test_gradients_are_differences() -> None:
    """In the weights of D's last layer both terms are square, so that differences are exact but for rounding."""
    from ecgan.runtime import jt
    from ecgan.training.step import discriminator_losses

    learner = lively()
    batch = critic_batch(learner, [keyed(0), keyed(1)])
    weight = next(
        var for name, var in learner.parts["D"].state_dict().items() if name.endswith("_0.models.model4.0.weight")
    )
    for term in ("LeCam", "R1"):
        before = weight.numpy().copy()
        gradient = jt.grad(discriminator_losses(learner.networks, batch, WEIGHTS).terms[term], weight).numpy()
        for place in np.argsort(np.abs(gradient.ravel()))[-3:]:
            values = []
            for change in (0.25, -0.25):
                other = before.copy()
                other.flat[place] += change
                weight.assign(jt.array(other))
                values.append(discriminator_losses(learner.networks, batch, WEIGHTS).terms[term].item())
            weight.assign(jt.array(before))
            assert gradient.flat[place] == pytest.approx((values[0] - values[1]) / 0.5, rel=0.01), term


@pytest.mark.slow
def test_micro_batches_add_up_to_the_batch() -> None:
    from ecgan.training.step import discriminator_losses

    learner, samples = lively(), [keyed(0), keyed(1)]
    whole = learner.gradients(learner._critic, discriminator_losses, [critic_batch(learner, samples)])
    halves = [critic_batch(learner, [each], 2) for each in samples]
    parts = learner.gradients(learner._critic, discriminator_losses, halves)
    assert parts.terms == pytest.approx(whole.terms, rel=1e-4) and set(whole.terms) >= {"LeCam", "R1"}
    assert parts.said == pytest.approx(whole.said, rel=1e-4) and len(whole.said) == 2
    largest = max(np.linalg.norm(each.numpy()) for each in whole.values)
    for ours, theirs in zip(whole.values, parts.values, strict=True):
        assert np.linalg.norm(ours.numpy() - theirs.numpy()) <= 1e-4 * largest


@pytest.mark.slow
def test_it_goes_on_to_the_bit_and_r1_counts_when_it_is_its_turn(tmp_path: Path) -> None:
    from ecgan.training import state

    batches = [[keyed(number), keyed(number + 5)] for number in range(4)]
    straight, first, second = make(RECIPE), make(RECIPE), make(RECIPE)
    losses = [straight.step(batch, 1e-3) for batch in batches]
    assert ["R1" in each for each in losses] == [True, False, True, False]
    assert all(each["LeCam"] > 0 for each in losses) and all(np.isfinite(list(each.values())).all() for each in losses)
    for batch in batches[:1]:
        first.step(batch, 1e-3)
    state.save(tmp_path / "with", first, 1, {}).load_into(second)
    assert second.counters == first.counters == {"adam_GE": 1, "adam_D": 1, "lecam": 1}
    for batch in batches[1:]:
        second.step(batch, 1e-3)
    wanted, got = straight.to_arrays(), second.to_arrays()
    assert wanted.keys() == got.keys() and wanted["lecam"]["averages"].any()
    assert all(np.array_equal(wanted[part][name], got[part][name]) for part in wanted for name in wanted[part])

    without = make(Recipe(LossWeights(lambda_vgg=0.0)))
    assert "lecam" not in without.counters
    later = make(RECIPE)
    state.save(tmp_path / "without", without, 2, {}).load_into(later)  # whose averages begin then
    assert later.counters["lecam"] == 0
