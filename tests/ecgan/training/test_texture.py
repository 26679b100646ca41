"""The loss on textures against NumPy, and against L1: what each of them asks of grains."""

from __future__ import annotations

import numpy as np
import pytest
from conftest import draw_photo

from ecgan.synthesis import to_network


def distance(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Of (N, 3, H, W)."""
    from ecgan.runtime import jt
    from ecgan.training.texture import texture_distance

    return float(texture_distance(jt.array(ours), jt.array(theirs)).item())


def means(x: np.ndarray, side: int) -> np.ndarray:
    """Of squares of `side`, window by window."""
    rows, columns = (size // side for size in x.shape[2:])
    windows = [
        [x[:, :, r * side : (r + 1) * side, c * side : (c + 1) * side].mean((2, 3)) for c in range(columns)]
        for r in range(rows)
    ]
    return np.array(windows)


def difference(x: np.ndarray, down: int, right: int) -> np.ndarray:
    """Of each pixel and the one that lies so far from it, where there is one."""
    height, width = x.shape[2:]
    columns, others = np.arange(max(0, -right), width - max(0, right)), np.arange(max(0, right), width - max(0, -right))
    rows = np.arange(height - down)
    result: np.ndarray = x[:, :, rows + down][:, :, :, others] - x[:, :, rows][:, :, :, columns]
    return result


def wanted(ours: np.ndarray, theirs: np.ndarray, scales: int) -> float:
    """The same by NumPy, in doubles."""
    found = []
    for step in (1, 2, 4)[:scales]:
        small = [means(each.astype(np.float64), step).transpose(2, 3, 0, 1) for each in (ours, theirs)]
        for down, right in ((0, 1), (1, 0), (1, 1), (1, -1)):
            a, b = (means(np.abs(difference(each, down, right)), 8) for each in small)
            found.append(np.abs(a - b).mean())
    return float(np.mean(found))


def grains(seed: int, strength: float = 0.5) -> np.ndarray:
    """A grey picture with noise of a kind, (1, 3, 96, 128)."""
    return np.random.default_rng(seed).uniform(-strength, strength, (1, 3, 96, 128)).astype(np.float32)


@pytest.mark.parametrize(("height", "width", "scales"), [(64, 128, 3), (51, 101, 3), (32, 64, 2), (16, 9, 1)])
def test_it_is_the_difference_of_mean_absolute_differences(height: int, width: int, scales: int) -> None:
    ours, theirs = (to_network(np.stack([draw_photo(i), draw_photo(i + 1)])) for i in (1, 3))
    ours, theirs = (np.ascontiguousarray(each[:, :, :height, :width]) for each in (ours, theirs))
    assert distance(ours, theirs) == pytest.approx(wanted(ours, theirs, scales), rel=1e-4)


def test_grains_may_lie_elsewhere_but_must_be_there() -> None:
    photo = grains(1)
    elsewhere, smooth = grains(2), np.zeros_like(photo)
    moved = np.roll(photo, (8, 8), (2, 3))
    weaker = photo / 2
    least = distance(smooth, photo)
    assert distance(photo, photo) == 0
    assert max(distance(elsewhere, photo), distance(moved, photo)) < 0.2 * least
    assert distance(weaker, photo) == pytest.approx(0.5 * least, rel=1e-3)
    # L1 prefers the smooth one.
    assert min(np.abs(each - photo).mean() for each in (elsewhere, moved)) > 1.2 * np.abs(smooth - photo).mean()


def test_grains_are_told_from_a_relief() -> None:
    """Lines along one diagonal are as strong across and down as noise is, or as lines along the other."""
    sloping = np.add.outer(np.arange(96), np.arange(128)) % 8 / 8 - 0.5
    relief = np.broadcast_to(sloping, (1, 3, 96, 128)).astype(np.float32)
    mirrored = relief[:, :, :, ::-1].copy()
    assert distance(mirrored, relief) > 0.5 * distance(np.zeros_like(relief), relief)


def test_it_matters_in_which_window_they_lie() -> None:
    photo = grains(1)
    photo[:, :, :48] = 0
    assert distance(photo[:, :, ::-1].copy(), photo) > 0.8 * distance(grains(1), np.zeros_like(photo))


def test_gradients_are_right_and_finite_on_flat_pictures_too() -> None:
    from ecgan.runtime import jt
    from ecgan.training.texture import texture_distance

    values, other = (grains(seed)[:, :, :20, :20] for seed in (1, 2))
    picture, theirs = jt.array(values), jt.array(0.6 * other)
    gradient = jt.grad(texture_distance(picture, theirs), picture).numpy()
    for channel in range(3):  # along the gradient, where nothing cancels out
        way = 3e-4 * np.sign(gradient) * (np.arange(3) == channel).reshape(1, 3, 1, 1).astype(np.float32)
        high, low = (float(texture_distance(jt.array(each), theirs).item()) for each in (values + way, values - way))
        assert high - low == pytest.approx(float((2 * gradient * way).sum()), rel=0.01)
    for flat in (0.0, -1.0):
        picture = jt.full(values.shape, flat)
        for other in (theirs, picture.copy()):
            found = jt.grad(texture_distance(picture, other), picture).numpy()
            assert np.isfinite(found).all() and np.abs(found).max() < 1


def test_no_gradient_reaches_the_photo() -> None:
    from ecgan.runtime import jt
    from ecgan.training.texture import texture_distance

    ours, theirs = jt.array(grains(1)), jt.array(grains(2))
    assert not jt.grad(texture_distance(ours, theirs), theirs).numpy().any()


def test_of_a_batch_it_is_the_mean_of_its_parts() -> None:
    """So micro-batches and ranks add up to what the batch costs at once."""
    ours, theirs = (np.concatenate([grains(seed, 0.1 * seed) for seed in seeds]) for seeds in ((1, 2), (3, 5)))
    parts = [distance(ours[i : i + 1], theirs[i : i + 1]) for i in range(2)]
    assert distance(ours, theirs) == pytest.approx(np.mean(parts), rel=1e-5)
