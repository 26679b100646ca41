"""The loss on colour statistics against OpenCV's CIELAB and NumPy's moments."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from conftest import draw_photo

from ecgan.synthesis import to_network


def lab_of(photo: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 -> (3, pixels) in CIELAB's units."""
    lab: np.ndarray = cv2.cvtColor(photo.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    return lab.reshape(-1, 3).T.astype(np.float64)


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    from ecgan.runtime import jt
    from ecgan.training.colours import tone_distance

    return float(tone_distance(*(jt.array(to_network(photo[None])) for photo in (ours, theirs))).item())


def test_colours_are_those_of_opencv() -> None:
    from ecgan.runtime import jt
    from ecgan.training.colours import to_lab

    ramp = np.arange(256, dtype=np.uint8)
    photo = np.stack([ramp, ramp[::-1], (7 * ramp.astype(int) % 256).astype(np.uint8)], axis=-1)[None]
    photo = np.concatenate([photo, np.repeat(ramp[None, :, None], 3, axis=2)])
    ours = to_lab(jt.array(to_network(photo[None]))).numpy()[0] * 100 - np.array([[16], [0], [0]])
    assert np.abs(ours - lab_of(photo)).max() < 0.5  # OpenCV looks its roots up in tables


def test_it_is_the_difference_of_means_and_covariances() -> None:
    first, second = draw_photo(1), draw_photo(2)
    means = [lab_of(photo).mean(1) / 100 for photo in (first, second)]
    covariances = [np.cov(lab_of(photo), bias=True) / 1e4 for photo in (first, second)]
    wanted = np.abs(means[0] - means[1]).mean() + np.abs(covariances[0] - covariances[1]).mean()
    assert distance(first, second) == pytest.approx(wanted, rel=1e-2)


def test_it_does_not_matter_where_the_colours_lie() -> None:
    photo = draw_photo(3)
    assert distance(photo, photo[::-1, ::-1].copy()) == pytest.approx(0.0, abs=1e-5)
    assert distance(photo, 255 - photo) > 0.05


def test_gradients_are_finite_and_right_in_black_and_white_too() -> None:
    from ecgan.runtime import jt
    from ecgan.training.colours import tone_distance

    values = np.random.default_rng(0).uniform(-0.9, 0.9, (1, 3, 4, 4)).astype(np.float32)
    values[0, :, 0, 0], values[0, :, 0, 1] = -1, 1
    theirs = jt.array(to_network(draw_photo(4)[None]))
    picture = jt.array(values)
    gradient = jt.grad(tone_distance(picture, theirs), picture).numpy()
    assert np.isfinite(gradient).all()
    for place in ((0, 0, 2, 2), (0, 1, 3, 1), (0, 2, 0, 0)):
        moved = [values.copy(), values.copy()]
        for sign, each in zip((1, -1), moved, strict=True):
            each[place] += sign * 0.01
        high, low = (float(tone_distance(jt.array(each), theirs).item()) for each in moved)
        assert (high - low) / 0.02 == pytest.approx(float(gradient[place]), rel=0.1, abs=2e-4)
