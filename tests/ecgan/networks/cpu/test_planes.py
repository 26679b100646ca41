"""Convolutions by Winograd's way on Jittor's maps, and their gradients: Jittor's own, whatever the threads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

#: Images, channels, features, height, width: a pixel, odd sizes, several strips of tiles, more than fits at a time.
SHAPES = [
    (1, 1, 1, 1, 1),
    (2, 5, 7, 3, 2),
    (2, 19, 35, 29, 37),
    (3, 16, 17, 5, 150),
    (1, 130, 290, 9, 8),
    (1, 3, 8, 170, 260),
]
KERNELS = [(3, 1), (4, 2)]


def numbers(shape: tuple[int, ...], taps: int, padding: int) -> list[np.ndarray]:
    """x, weight, bias and a gradient by the result."""
    count, channels, features, height, width = shape
    chance = np.random.default_rng(3)
    of_y = [length + 2 * padding + 1 - taps for length in (height, width)]
    shapes = [(count, channels, height, width), (features, channels, taps, taps), (features,), (count, features, *of_y)]
    return [chance.standard_normal(each, np.float32) for each in shapes]


def forth_and_back(convolve: Callable[..., Any], given: list[np.ndarray], biased: bool = True) -> list[np.ndarray]:
    """The result and the gradients by x, weight and bias."""
    from ecgan.runtime import jt

    *inputs, gradient = (jt.array(each) for each in given)
    if not biased:
        inputs[2] = None
    y = convolve(*inputs)
    y.sync()  # left alone, Jittor would fuse it with what follows
    found = jt.grad((y * gradient).sum(), [each for each in inputs if each is not None])
    return [each.numpy() for each in (y, *found)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("taps, padding", KERNELS)
def test_a_convolution_and_its_gradients_are_jittors(shape: tuple[int, ...], taps: int, padding: int) -> None:
    from ecgan.networks.cpu.planes import convolve
    from ecgan.runtime import nn

    given = numbers(shape, taps, padding)
    for biased in (True, False):
        wanted = forth_and_back(lambda x, w, b: nn.conv2d(x, w, b, padding=padding), given, biased)
        found = forth_and_back(lambda x, w, b: convolve(x, w, b, padding), given, biased)
        assert len(found) == len(wanted) == 3 + biased
        for ours, theirs in zip(found, wanted, strict=True):
            assert ours.shape == theirs.shape
            assert np.abs(ours - theirs).max() <= 2e-5 * np.abs(theirs).max()


@pytest.mark.parametrize("lanes", [4, 8], ids=["without AVX2", "AVX2"])
def test_shorter_vectors_give_the_same(lanes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on processors that have no others."""
    from ecgan.networks.cpu import code
    from ecgan.networks.cpu.planes import convolve

    given = numbers((2, 19, 35, 29, 37), 4, 2)
    wanted = forth_and_back(lambda x, w, b: convolve(x, w, b, 2, 0.2), given)
    source = code.source
    monkeypatch.setattr(code, "source", lambda *names: f"#define ECGAN_LANES {lanes}\n{source(*names)}")
    found = forth_and_back(lambda x, w, b: convolve(x, w, b, 2, 0.2), given)
    for ours, theirs in zip(found, wanted, strict=True):
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)


@pytest.mark.parametrize("slope", [0.0, 0.2])
def test_what_a_leaky_relu_behind_it_lets_through(slope: float) -> None:
    from ecgan.networks.cpu.planes import convolve
    from ecgan.runtime import nn

    given = numbers((2, 19, 35, 29, 37), 3, 1)
    wanted = forth_and_back(lambda x, w, b: nn.leaky_relu(nn.conv2d(x, w, b, padding=1), slope), given)
    found = forth_and_back(lambda x, w, b: convolve(x, w, b, 1, slope), given)
    for ours, theirs in zip(found, wanted, strict=True):
        # Close to 0 the two may stand on different sides of the bend.
        assert np.linalg.norm(ours - theirs) <= 1e-3 * np.linalg.norm(theirs)


@pytest.mark.parametrize("shape", SHAPES)
def test_bits_do_not_depend_on_the_threads(shape: tuple[int, ...], use_threads: Callable[[int], None]) -> None:
    from ecgan.networks.cpu.planes import convolve

    given = numbers(shape, 3, 1)
    of_threads = []
    for threads in (1, 2, 7):
        use_threads(threads)
        of_threads.append(forth_and_back(lambda x, w, b: convolve(x, w, b, 1, 0.2), given))
    for others in of_threads[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(of_threads[0], others, strict=True))


def test_the_reference_is_jittors_own() -> None:
    """Of a step as it is worded, forwards and backwards; and in evaluation."""
    import plain_step

    from ecgan.networks import convolution
    from ecgan.runtime import nn

    given = numbers((1, 8, 8, 40, 24), 3, 1)
    jittors = forth_and_back(lambda x, w, b: nn.conv2d(x, w, b, padding=1), given)
    ours = forth_and_back(lambda x, w, b: convolution.conv2d(x, w, b, padding=1), given)
    assert not any(np.array_equal(a, b) for a, b in zip(ours, jittors, strict=True))
    with plain_step.jittors_own:
        plain = forth_and_back(lambda x, w, b: convolution.conv2d(x, w, b, padding=1), given)
    assert all(np.array_equal(a, b) for a, b in zip(plain, jittors, strict=True))

    evaluated = forth_and_back(lambda x, w, b: convolution.conv2d(x, w, b, padding=1, training=False), given)
    assert all(np.array_equal(a, b) for a, b in zip(evaluated, jittors, strict=True))
