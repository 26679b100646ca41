"""Inception's features and the distance on them against pytorch-fid 0.3.0, recorded once with PyTorch 2.13."""

from __future__ import annotations

import numpy as np
import pytest
from drawn import INCEPTION, inception_weights

from ecgan.scoring import frechet


def drawn_pictures(seed: int, count: int, size: tuple[int, int]) -> np.ndarray:
    """(count, H, W, 3) uint8: coarse squares with noise on them."""
    chance = np.random.default_rng(seed)
    squares = chance.integers(0, 256, (count, 6, 8, 3)).astype(np.float32)
    large = squares.repeat(size[1] // 6, 1).repeat(size[0] // 8, 2)
    return np.clip(large + chance.normal(0, 20, large.shape), 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def features() -> dict[str, np.ndarray]:
    from ecgan.runtime import jt
    from ecgan.scoring.inception import Inception

    network = Inception(inception_weights())
    found = {}
    for name in ("a", "b"):
        drawn = drawn_pictures(*(INCEPTION[name][key] for key in ("seed", "count", "size")))
        with jt.no_grad():
            found[name] = network(jt.array(drawn.transpose(0, 3, 1, 2).astype(np.float32) / 255)).numpy()
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", ["a", "b"])
def test_features_are_those_of_pytorch_fid(features: dict[str, np.ndarray], name: str) -> None:
    """Small pictures, which are enlarged, and such of nearly the network's size."""
    wanted = INCEPTION[name]
    assert features[name].shape == (wanted["count"], 2048)
    assert np.abs(features[name][:, :8] - wanted["first"]).max() < 1e-4
    assert features[name].sum(axis=1) == pytest.approx(wanted["sums"], rel=1e-4)


@pytest.mark.slow
def test_the_distance_is_that_of_pytorch_fid(features: dict[str, np.ndarray]) -> None:
    """Its matrix root of singular covariances says itself that it is inexact."""
    gaussians = []
    for each in features.values():
        moments = frechet.Moments(2048)
        moments.add(each)
        gaussians.append(moments.gaussian())
    assert frechet.distance(*gaussians) == pytest.approx(INCEPTION["fid"], rel=0.02)
