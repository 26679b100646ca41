"""Convolutions in bfloat16: those of rounded numbers; and pictures near those of float32. That they are the same to the
bit whatever shares their batch is held by tests/ecgan/test_same_bytes.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ecgan.checkpoint import open_checkpoint
from ecgan.errors import MachineError
from ecgan.runtime.precision import insist

#: N, channels, features, height, width: none a multiple of 16 or of a strip; a strip of all rows and several; groups of
#: features, the last cut short.
SHAPES = [(2, 5, 3, 7, 9), (1, 40, 300, 6, 11), (2, 33, 176, 37, 21), (1, 20, 17, 150, 500)]


@pytest.fixture(autouse=True)
def _has_it() -> None:
    try:
        insist("bfloat16")
    except MachineError as error:
        pytest.skip(str(error))


def normal(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def rounded(values: np.ndarray) -> np.ndarray:
    """To bfloat16's 8 bits, to the nearest, of two to the even one."""
    bits = values.astype(np.float32).view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) & 0xFFFF0000).view(np.float32)


def in_channels_last(x: np.ndarray) -> Any:
    """(N, C, H, W) -> (N, H, W, C filled up)."""
    from ecgan.networks.cpu.weights import padded
    from ecgan.runtime import jt

    missing = padded(x.shape[1]) - x.shape[1]
    return jt.array(np.ascontiguousarray(np.pad(x.transpose(0, 2, 3, 1), [(0, 0)] * 3 + [(0, missing)])))


def convolve(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Of a leaky ReLU of x, (N, F, H, W), by the operator."""
    from ecgan.networks.cpu.operators import Piece
    from ecgan.networks.cpu.operators import convolve as operator
    from ecgan.networks.cpu.weights import RoundedKernel
    from ecgan.runtime import jt

    with jt.no_grad():
        y = operator([Piece.of(in_channels_last(x))], RoundedKernel(weight, bias, *x.shape[2:])).numpy()
    assert not (np.isfinite(x).all() and y[..., len(weight) :].any())
    return np.asarray(y[..., : len(weight)].transpose(0, 3, 1, 2))


def expected(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The same of rounded numbers, added up in float64."""
    from ecgan.networks.layers import LRELU_SLOPE

    height, width = x.shape[2:]
    active = rounded(np.maximum(x, x * np.float32(LRELU_SLOPE)))
    framed = np.pad(active, [(0, 0)] * 2 + [(1, 1)] * 2).astype(np.float64)
    y = np.zeros((len(x), len(weight), height, width)) + bias[:, None, None]
    for i, j in np.ndindex(3, 3):
        seen = framed[:, :, i : i + height, j : j + width]
        y += np.einsum("fc,nchw->nfhw", rounded(weight[:, :, i, j]).astype(np.float64), seen, optimize=True)
    return y


@pytest.mark.parametrize("count, channels, features, height, width", SHAPES)
def test_a_convolution_is_that_of_rounded_numbers(
    count: int, channels: int, features: int, height: int, width: int, use_threads: Callable[[int], None]
) -> None:
    """And a picture of a batch has the bits that it has alone, with any number of threads."""
    x, weight = normal(1, count, channels, height, width), normal(2, features, channels, 3, 3)
    bias = normal(3, features)
    y, exact = convolve(x, weight, bias), expected(x, weight, bias)
    assert np.abs(y - exact).max() < 1e-5 * exact.std()
    for threads in (1, 3, 16):
        use_threads(threads)
        assert np.array_equal(convolve(x, weight, bias), y), threads
    for i in range(count):
        assert np.array_equal(convolve(x[i : i + 1], weight, bias)[0], y[i])


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.nan])
def test_what_is_no_number_stays_none(broken: float) -> None:
    """By it a broken checkpoint is noticed."""
    x, weight = normal(1, 1, 3, 5, 5), normal(2, 3, 3, 3, 3)
    x[0, 1, 2, 2] = broken
    y = convolve(x, weight, np.zeros(3, np.float32))
    assert not np.isfinite(y[0, :, 1:4, 1:4]).any() and np.isfinite(y[0, :, 0]).all()


def test_pictures_of_the_fixture_are_near_those_of_float32(original: Path) -> None:
    """Its weights are random and amplify rounding, those of a trained network do not (docs/performance.md)."""
    from ecgan.synthesis import Synthesiser

    checkpoint = open_checkpoint(original)
    masks = [np.asarray(Image.open(original / f"mask_{i}.png")) for i in (0, 1)]
    photos = [np.asarray(Image.open(original / f"ref_{i}.png").convert("RGB")) for i in (0, 1)]
    rounded, exact = (
        np.stack(Synthesiser(checkpoint, precision=form).paint(masks, photos, ["a", "b"], noise=0)).astype(int)
        for form in ("bfloat16", "float32")
    )
    apart = np.abs(rounded - exact)
    assert 0 < apart.mean() < 0.5 and (apart <= 3).mean() > 0.98
