"""Each operator of the CPU's painter against double precision: odd sizes, a pixel, batches, padded channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from ecgan.networks.cpu.weights import Kernel

SLOPE = 0.2
SIZES = [(1, 1), (5, 7), (13, 42), (2, 150)]
chance = np.random.default_rng(7)


def normal(*shape: int) -> np.ndarray:
    return chance.standard_normal(shape, np.float32)


def channels_last(x: np.ndarray) -> Any:
    """(N, C, H, W) -> (N, H, W, C filled up)."""
    from ecgan.networks.cpu.weights import filled

    return filled(x.transpose(0, 2, 3, 1))


def planes(x: Any, channels: int) -> np.ndarray:
    whole = x.numpy()
    assert not whole[..., channels:].any()  # what fills up is zero, and stays it
    return np.asarray(whole[..., :channels].transpose(0, 3, 1, 2))


def kernel(weight: np.ndarray, bias: np.ndarray, many: bool, pieces: Sequence[int] | None = None) -> Kernel:
    """`many` tiles: its weights are transformed beforehand, else whenever they are needed."""
    from ecgan.networks.cpu.weights import Kernel

    made = Kernel(weight, bias, 160 if many else 1, 100, pieces)
    assert (made.products.shape[0] > 1) == many
    return made


def convolved(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """In double precision, tap by tap."""
    framed = np.pad(x.astype(np.float64), ((0, 0), (0, 0), (1, 1), (1, 1)))
    height, width = x.shape[2:]
    taps = (
        np.einsum("fc,nchw->nfhw", weight[:, :, i, j], framed[:, :, i : i + height, j : j + width])
        for i in range(3)
        for j in range(3)
    )
    return np.asarray(sum(taps) + bias[:, None, None])


def leaky(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, SLOPE * x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float64)))


def close(found: np.ndarray, expected: np.ndarray) -> bool:
    return found.shape == expected.shape and bool(np.abs(found - expected).max() <= 2e-5 * np.abs(expected).max())


@pytest.mark.parametrize("many", [False, True], ids=["few tiles", "many tiles"])
@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("channels, features", [(1, 1), (16, 64), (70, 99)])
def test_convolution(size: tuple[int, int], channels: int, features: int, many: bool) -> None:
    from ecgan.networks.cpu.operators import Piece, convolve

    x, weight, bias = normal(2, channels, *size), normal(features, channels, 3, 3), normal(features)
    out = convolve([Piece.of(channels_last(x))], kernel(weight, bias, many))
    assert close(planes(out, features), convolved(leaky(x), weight, bias))


def test_convolution_of_pieces_that_is_gated_and_bounded() -> None:
    from ecgan.networks.cpu.operators import Piece, Rows, convolve
    from ecgan.networks.cpu.weights import filled
    from ecgan.runtime import jt

    size, features = (9, 21), 10
    wide, b, c = normal(2, 48, *size), normal(2, 3, *size), normal(2, 3, *size)
    weight, bias, factor = normal(features, 22, 3, 3), normal(features), normal(2, 48)
    rows, at, attention = normal(5, features), chance.integers(0, 5, (2, *size)), normal(2, features, *size)
    wide_last = channels_last(wide)
    out = convolve(
        [Piece(wide_last, 16, 16), Piece.of(channels_last(b)), Piece.of(channels_last(c))],
        kernel(weight, bias, True, [16, 3, 3]),
        gate=Piece(wide_last, 32, 16),
        factor=jt.array(factor),
        rows=Rows(filled(rows), jt.array(at.astype(np.int32))),
        bounded=True,
        gated_by=channels_last(attention),
    )
    seen = [leaky(wide[:, 16:32] * (1 + sigmoid(wide[:, 32:]))), leaky(b), leaky(c)]
    times = [factor[:, :16], factor[:, 16:19], factor[:, 32:35]]
    x = np.concatenate([part * each[:, :, None, None] for part, each in zip(seen, times, strict=True)], axis=1)
    expected = np.tanh(convolved(x, weight, bias) + rows[at].transpose(0, 3, 1, 2)) * (1 + sigmoid(attention))
    assert close(planes(out, features), expected)


@pytest.mark.parametrize("doubled", [False, True], ids=["same size", "doubled"])
def test_convolution_of_what_spade_makes(doubled: bool) -> None:
    from ecgan.networks.cpu.operators import Rows, convolve_modulated
    from ecgan.networks.cpu.weights import filled
    from ecgan.runtime import jt

    channels, features, entries, size = 12, 20, 9, (10, 38)
    x = normal(2, channels, *((5, 19) if doubled else size))
    table, index = normal(entries, 2, channels), chance.integers(0, entries, (2, *size))
    weight, bias, rows = normal(features, channels, 3, 3), normal(features), normal(7, features)
    at = chance.integers(0, 7, (2, *size))
    whole = jt.array(index.astype(np.int32))
    out = convolve_modulated(
        channels_last(x),
        filled(table),
        whole,
        kernel(weight, bias, True),
        rows=Rows(filled(rows), jt.array(at.astype(np.int32))),
    )
    large = x.repeat(2, axis=2).repeat(2, axis=3) if doubled else x
    scale, shift = table[index].transpose(3, 0, 4, 1, 2)
    expected = convolved(leaky(large * scale + shift), weight, bias) + rows[at].transpose(0, 3, 1, 2)
    assert close(planes(out, features), expected)


def test_the_shortcut_is_computed_once_for_equal_pixels() -> None:
    """A 1x1 convolution of what SPADE makes of a map that is doubled."""
    from ecgan.networks.cpu.mask import Level
    from ecgan.networks.cpu.operators import multiply_modulated
    from ecgan.networks.cpu.weights import filled, pack

    channels, features, size = 20, 40, (16, 44)
    labels = np.zeros((2, *size), np.uint8)
    labels[0, :, 20:], labels[1, 7:9, 3:5] = 3, 1
    level = Level(labels)
    index = level.index.numpy()
    x, weight = normal(2, channels, size[0] // 2, size[1] // 2), normal(features, channels, 1)
    table = normal(index.max() + 1, 2, channels)
    pairs, at = level.of_doubled
    assert labels.size / 4 < pairs.shape[0] < 0.6 * labels.size
    rows = multiply_modulated(channels_last(x), filled(table), pairs, pack(weight), 48).numpy()
    scale, shift = table[index].transpose(3, 0, 4, 1, 2)
    large = x.repeat(2, axis=2).repeat(2, axis=3)
    expected = np.einsum("fc,nchw->nhwf", weight[..., 0], large * scale + shift)
    assert close(rows[at.numpy()][..., :features], expected)


@pytest.mark.parametrize("entries", [30, 400], ids=["few", "many seen by several"])
def test_tables_hold_scale_and_shift(entries: int) -> None:
    from ecgan.networks.cpu.operators import see, tabulate
    from ecgan.networks.cpu.weights import filled, pack
    from ecgan.runtime import jt

    inner_count, classes, inner, channels = 60, 11, 32, 70
    labels = chance.integers(0, classes + 1, (inner_count, 9))  # the last stands for what is outside
    outer = chance.integers(0, inner_count + 1, (entries, 9))
    shared, shared_bias = normal(inner, classes, 3, 3), normal(inner)
    gamma, beta = (normal(channels, inner, 3, 3) for _ in range(2))
    constants = normal(4, channels)
    by_label = filled(shared.reshape(inner, classes, 9).transpose(2, 1, 0))
    hidden = see(jt.array(labels.astype(np.int32)), by_label, filled(shared_bias), cut=True)
    one_hot = np.eye(classes + 1, classes)[labels].transpose(0, 2, 1)
    expected_hidden = np.maximum(
        one_hot.reshape(inner_count, -1) @ shared.reshape(inner, -1).T.astype(np.float64) + shared_bias, 0
    )
    assert close(hidden.numpy(), expected_hidden)

    packed = [pack(weight.reshape(channels, inner, 9), outer=2) for weight in (gamma, beta)]
    table = tabulate(hidden, jt.array(outer.astype(np.int32)), *packed, filled(constants)).numpy()
    seen = np.vstack([expected_hidden, np.zeros((1, inner))])[outer].transpose(0, 2, 1).reshape(entries, -1)
    of_gamma, of_beta = (seen @ weight.reshape(channels, -1).T for weight in (gamma, beta))
    scale = (1 + of_gamma + constants[0]) * constants[2]
    assert close(table[:, 0, :channels], scale)
    assert close(table[:, 1, :channels], of_beta + constants[1] - constants[3] * scale)


def test_dense_layer_and_attention() -> None:
    from ecgan.networks.cpu.operators import attend, multiply
    from ecgan.networks.cpu.weights import filled, pack
    from ecgan.runtime import jt

    x, weight, bias = normal(3, 32), normal(100, 32, 1), normal(100)
    out = multiply(jt.array(x), pack(weight), filled(bias)).numpy()
    assert close(out[:, :100], x @ weight[..., 0].T.astype(np.float64) + bias)
    seen = normal(2, 5, 9, 11) * 9
    assert close(attend(channels_last(seen)).numpy()[:, :5], 1 + sigmoid(seen.mean(axis=(2, 3))))


@pytest.mark.parametrize("lanes", [4, 8], ids=["without AVX2", "AVX2"])
def test_convolution_with_shorter_vectors(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors that have no others."""
    from ecgan.networks.cpu import code
    from ecgan.networks.cpu.operators import Piece, convolve

    source = code.source
    monkeypatch.setattr(code, "source", lambda *names: f"#define ECGAN_LANES {lanes}\n{source(*names)}")
    counted = code.operator([1], [code.nothing(1)], "out0_p[0] = ecgan::LANES;", "vectors")
    assert counted.numpy().tolist() == [lanes]
    x, weight, bias = normal(1, 20, 13, 42), normal(70, 20, 3, 3), normal(70)
    out = convolve([Piece.of(channels_last(x))], kernel(weight, bias, False))
    assert close(planes(out, 70), convolved(leaky(x), weight, bias))
