"""Semantic guidance: its terms against NumPy, where they reach, and what they leave alone."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from drawn import segformer_weights
from test_learner import MODEL, RECIPE, make, sample

from ecgan.checkpoint.tensors import segformer_of
from ecgan.training.recipe import LossWeights

GUIDED = LossWeights(
    lambda_vgg=0.0, lambda_guide=2.0, lambda_guide_feat=3.0, lambda_tone=0.5, lambda_texture=4.0, image=0.5
)


@pytest.fixture(scope="module")
def network() -> Any:
    from ecgan.networks import load_arrays
    from ecgan.networks.segformer import Segformer

    arrays = segformer_weights("b0")
    network = Segformer(segformer_of({name: array.shape for name, array in arrays.items()}))
    load_arrays(network, arrays, "b0")
    return network


def test_recognition_is_the_cross_entropy_of_all_pixels() -> None:
    from ecgan.networks.segformer import Seen, enlarge
    from ecgan.runtime import jt
    from ecgan.training.guidance import recognition

    random = np.random.default_rng(0)
    logits = jt.array(random.standard_normal((2, 5, 4, 6)).astype(np.float32) * 3)
    labels = random.integers(0, 6, (2, 16, 24))  # class 5 is one more than the network tells apart
    one_hot = (labels[:, None] == np.arange(6).reshape(1, -1, 1, 1)).astype(np.float32)
    large = enlarge(logits, 16, 24).numpy().astype(np.float64)
    surprise = np.log(np.exp(large).sum(1)) - np.take_along_axis(large, np.minimum(labels, 4)[:, None], 1)[:, 0]
    found = float(recognition(Seen(logits, []), jt.array(one_hot)).item())
    assert found == pytest.approx((surprise * (labels < 5)).mean(), rel=1e-5)


@pytest.mark.slow
def test_image_and_image2_are_judged_by_their_weights_and_edges_are_not(network: Any) -> None:
    from ecgan.networks import Segmap
    from ecgan.training import guidance
    from ecgan.training.batch import Batch
    from ecgan.training.colours import tone_distance
    from ecgan.training.step import generator_losses
    from ecgan.training.texture import texture_distance

    learner = make(dataclasses.replace(RECIPE, weights=GUIDED), guide=network)
    batch = Batch.of([sample(0), sample(1)], MODEL.semantic_nc)
    outcome = generator_losses(learner.networks, batch, GUIDED)
    guide, photo = learner.networks.guide, batch.photo
    one_hot = Segmap(np.stack([sample(0).labels, sample(1).labels]), MODEL.semantic_nc).at(MODEL.height, MODEL.width)
    wanted = dict.fromkeys(("Guide", "Guide_Feat", "Tone", "Texture"), 0.0)
    for picture, weight in ((outcome.pictures.image, 0.5), (outcome.pictures.image2, 2.0)):
        seen = guide(picture)
        wanted["Guide"] += weight * 2.0 * guidance.recognition(seen, one_hot).item()
        wanted["Guide_Feat"] += weight * 3.0 * guidance.likeness(seen.maps, guide(photo).maps).item()
        wanted["Tone"] += weight * 0.5 * tone_distance(picture, photo).item()
        wanted["Texture"] += weight * 4.0 * texture_distance(picture, photo).item()
    for name, value in wanted.items():
        assert outcome.terms[name].item() == pytest.approx(value, rel=1e-4), name
    assert wanted["Guide"] > 1 and wanted["Guide_Feat"] > 0.1  # the network sees something


@pytest.mark.slow
def test_the_guide_stays_as_it_is_and_is_no_part_of_the_state(network: Any) -> None:
    learner = make(dataclasses.replace(RECIPE, weights=GUIDED), guide=network)
    before = {name: var.numpy().copy() for name, var in network.state_dict().items()}
    plain = make()
    painted = [each.step([sample(0), sample(1)], 1e-3) for each in (learner, plain)]
    assert set(painted[0]) - set(painted[1]) == {"Guide", "Guide_Feat", "Tone", "Texture"}
    assert all(np.array_equal(var.numpy(), before[name]) for name, var in network.state_dict().items())
    assert set(learner.to_arrays()) == set(plain.to_arrays())


@pytest.mark.slow
def test_g_learns_to_be_recognised(network: Any) -> None:
    """By nothing else: the classes that the guide sees in its pictures come nearer to the mask."""
    alone = LossWeights(lambda_vgg=0.0, lambda_feat=0.0, lambda_kld=0.0, lambda_guide=100.0, edge=0.0)
    learner = make(dataclasses.replace(RECIPE, weights=alone), guide=network)
    losses = [learner.step([sample(0), sample(1)], 4e-3) for _ in range(12)]
    found = [each["Guide"] for each in losses]
    assert found[-1] < 0.95 * found[0], found
    assert losses[0].keys() == {"GAN", "Guide", "D_Fake", "D_real"}  # what counts nothing is not computed
