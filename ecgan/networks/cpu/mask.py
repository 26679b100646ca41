"""What a batch of masks decides for the painter, at each resolution: found once, whatever layer asks."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from ecgan.networks import neighbourhoods
from ecgan.networks.cpu.operators import Rows
from ecgan.networks.segmap import resize_labels
from ecgan.runtime import jt


class Level:
    """Masks at one resolution, labels (N, H, W)."""

    def __init__(self, labels: np.ndarray) -> None:
        found = neighbourhoods.find(labels)
        assert found is not None, "any share is welcome"
        self._labels, self._index = labels, found.index
        self._kept: dict[str, jt.Var] = {}
        self.index, self.outer, self.inner = (_whole(each) for each in (found.index, found.outer, found.inner))
        self._centre = found.outer[:, 4]

    def table(self, name: str, compute: Callable[[], jt.Var]) -> jt.Var:
        """What a layer makes of these masks, kept for the next time that it asks."""
        if name not in self._kept:
            self._kept[name] = compute().stop_grad()
        return self._kept[name]

    @cached_property
    def labels(self) -> jt.Var:
        """(N, H, W)."""
        return _whole(self._labels)

    @cached_property
    def inner_at(self) -> jt.Var:
        """Which of `inner` surrounds each pixel, (N, H, W)."""
        return _whole(self._centre[self._index])

    @cached_property
    def of_doubled(self) -> tuple[jt.Var, jt.Var]:
        """Of a map that is doubled: pairs (R, 2) of its pixel and an entry of the table, and which of them each pixel
        of the result has, (N, H, W). One serves all four pixels that come of one and have the same surroundings."""
        count, height, width = self._index.shape
        fours = self._index.reshape(count, height // 2, 2, width // 2, 2).transpose(0, 1, 3, 2, 4).reshape(-1, 4)
        alike = (fours == fours[:, :1]).all(axis=1)
        one, each = np.flatnonzero(alike), np.flatnonzero(~alike)
        pairs = np.concatenate(
            [np.stack([one, fours[one, 0]], axis=1), np.stack([np.repeat(each, 4), fours[each].reshape(-1)], axis=1)]
        )
        at = np.empty(fours.shape, np.int32)
        at[one] = np.arange(len(one))[:, None]
        at[each] = len(one) + np.arange(4 * len(each)).reshape(-1, 4)
        at = at.reshape(count, height // 2, width // 2, 2, 2).transpose(0, 1, 3, 2, 4).reshape(count, height, width)
        return _whole(pairs), _whole(at)

    def of_same(self, x: jt.Var) -> Rows:
        """A map (N, H, W, C), or half as high and wide, as rows to be added to each pixel as it comes."""
        count, height, width = self._index.shape
        factor = height // x.shape[1]
        at = np.arange(count * x.shape[1] * x.shape[2]).reshape(x.shape[:3])
        return Rows(x.reshape((-1, x.shape[3])), _whole(at.repeat(factor, axis=1).repeat(factor, axis=2)))


class Mask:
    """`labels`: (N, H, W) class ids."""

    def __init__(self, labels: np.ndarray) -> None:
        self._labels = labels
        self._levels: dict[tuple[int, int], Level] = {}

    def at(self, height: int, width: int) -> Level:
        if (height, width) not in self._levels:
            self._levels[height, width] = Level(resize_labels(self._labels, height, width))
        return self._levels[height, width]


def _whole(numbers: np.ndarray) -> jt.Var:
    return jt.array(np.ascontiguousarray(numbers, np.int32)).stop_grad()
