"""How D sees pictures, fakes and real ones: coloured, moved and cut at random, so that few photos last longer.

Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", NeurIPS 2020, with the ranges of its code.
G learns through it. D sees mask and picture together, so what moves or cuts one does the other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ecgan.runtime import jt
from ecgan.training.recipe import Augmentation

#: How far a picture is moved at most, and how large the hole cut into it is, as shares of its sides.
_SHIFT, _HOLE = 1 / 8, 1 / 2


class Views:
    """One draw for each sample of a batch: its mask, G's pictures of it and their real counterparts are seen alike.

    `draws`: a generator for each sample; what one of them decides does not depend on which `kinds` there are.
    `size`: (H, W) of masks and pictures.
    """

    def __init__(
        self, kinds: Sequence[Augmentation], draws: Sequence[np.random.Generator], size: tuple[int, int]
    ) -> None:
        colours, shifts, kept = (np.stack(each) for each in zip(*(_draw(one, size) for one in draws), strict=True))
        self._colours = _fixed(colours.reshape(-1, 3, 1, 1, 1)) if "colour" in kinds else None
        self._shifts = _fixed(shifts) if "translation" in kinds else None
        self._kept = _fixed(kept) if "cutout" in kinds else None
        self._mask: jt.Var | None = None

    def of_mask(self, one_hot: jt.Var) -> jt.Var:
        """(N, classes, H, W), always the same; where nothing of the mask is left, no class is 1."""
        if self._mask is None:
            self._mask = self._moved_and_cut(one_hot).stop_grad()
        return self._mask

    def of_picture(self, picture: jt.Var, is_edge_map: bool) -> jt.Var:
        """(N, 3, H, W) in [-1, 1], which colouring may leave; 0 where nothing is left. Edge maps have no colour."""
        return self._moved_and_cut(picture if is_edge_map else self._coloured(picture))

    def _coloured(self, picture: jt.Var) -> jt.Var:
        if self._colours is None:
            return picture
        brightness, saturation, contrast = (self._colours[:, kind] for kind in range(3))
        picture = picture + brightness
        grey = picture.mean(1, keepdims=True)
        picture = (picture - grey) * saturation + grey
        mean = picture.mean([1, 2, 3], keepdims=True)
        return (picture - mean) * contrast + mean

    def _moved_and_cut(self, x: jt.Var) -> jt.Var:
        if self._shifts is not None:
            x = x.reindex(x.shape, ["i0", "i1", "i2-@e0(i0,0)", "i3-@e0(i0,1)"], extras=[self._shifts])
        return x if self._kept is None else x * self._kept


def _draw(random: np.random.Generator, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(3,) float32, what is added for brightness and multiplied for saturation and contrast; (2,) int32, pixels down
    and to the right; (1, H, W) float32, 0 in the hole, else 1."""
    colours = random.uniform((-0.5, 0, 0.5), (0.5, 2, 1.5)).astype(np.float32)
    most = [int(side * _SHIFT + 0.5) for side in size]
    shift = [random.integers(-each, each, endpoint=True) for each in most]
    kept = np.ones((1, *size), np.float32)
    hole = [int(side * _HOLE + 0.5) for side in size]
    first = [random.integers(side + 1 - each % 2) - each // 2 for side, each in zip(size, hole, strict=True)]
    rows, columns = (slice(max(0, start), start + each) for start, each in zip(first, hole, strict=True))
    kept[:, rows, columns] = 0
    return colours, np.array(shift, np.int32), kept


def _fixed(values: np.ndarray) -> jt.Var:
    return jt.array(values).stop_grad()
