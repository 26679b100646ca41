"""Noise and colour: what decides a picture's style beside the networks."""

from __future__ import annotations

import cv2
import numpy as np
from conftest import draw_photo

from ecgan.colour import transfer_lab
from ecgan.noise import style_noise


def test_noise_is_a_function_of_seed_and_name() -> None:
    first = style_noise(0, "test_0001", 256)
    assert first.dtype == np.float32 and first.shape == (256,)
    assert np.array_equal(first, style_noise(0, "test_0001", 256))
    assert not np.array_equal(first, style_noise(1, "test_0001", 256))
    assert not np.array_equal(first, style_noise(0, "test_0002", 256))
    many = np.concatenate([style_noise(0, str(i), 256) for i in range(100)])
    assert abs(many.mean()) < 0.03 and abs(many.std() - 1) < 0.03


def test_noise_stays_as_recorded() -> None:
    """Pictures made by an earlier version must come out the same."""
    expected = [-0.193777, 1.164314, 1.209752]
    assert np.allclose(style_noise(7, "test_0001", 3), expected, atol=1e-6)


def test_transfer_gives_the_statistics_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(90, 160, (60, 80, 3)).astype(np.uint8)
    reference = cv2.GaussianBlur(draw_photo(3, (90, 50)), (0, 0), 5) // 2 + 60
    moved = transfer_lab(picture, reference)
    assert moved.shape == picture.shape and moved.dtype == np.uint8
    got, wanted = (cv2.cvtColor(p, cv2.COLOR_RGB2LAB).astype(float) for p in (moved, reference))
    before = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(float)
    for channel in range(3):
        error = abs(got[..., channel].mean() - wanted[..., channel].mean())
        assert error < 4 and error < abs(before[..., channel].mean() - wanted[..., channel].mean()) + 4


def test_transfer_follows_the_formula_on_one_channel() -> None:
    """Grey pictures have constant a and b, so only lightness is scaled: x -> (x - m) / s * s' + m'."""
    grey = np.repeat(np.linspace(40, 200, 64, dtype=np.uint8).reshape(8, 8, 1), 3, axis=2)
    reference = np.repeat(np.linspace(100, 150, 64, dtype=np.uint8).reshape(8, 8, 1), 3, axis=2)
    lightness = cv2.cvtColor(grey, cv2.COLOR_RGB2LAB)[..., 0].astype(float)
    target = cv2.cvtColor(reference, cv2.COLOR_RGB2LAB)[..., 0].astype(float)
    expected = ((lightness - lightness.mean()) / lightness.std() * target.std() + target.mean()).astype(np.uint8)
    moved = cv2.cvtColor(transfer_lab(grey, reference), cv2.COLOR_RGB2LAB)[..., 0]
    assert np.abs(moved.astype(int) - expected.astype(int)).max() <= 1


def test_constant_picture_is_shifted_not_broken() -> None:
    flat = np.full((10, 10, 3), 77, np.uint8)
    reference = np.full((5, 5, 3), (200, 30, 60), np.uint8)
    assert np.abs(transfer_lab(flat, reference).astype(int) - (200, 30, 60)).max() <= 3
