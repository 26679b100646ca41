"""Which surroundings of a pixel occur in masks, each once: SPADE's scale and shift depend on nothing else.

Two 3x3 convolutions look at the mask, one after the other, so what comes out at a pixel depends on the
5x5 labels around it and on which of them lie outside the frame. On masks of landscapes a few per cent
of the pixels have surroundings that no other pixel has.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

#: Stands for a pixel outside the frame; no class has it.
OUTSIDE = 255
#: Odd numbers without a pattern, one for each place of a window: sums of labels times these tell windows apart.
_FACTORS = np.random.default_rng(20201).integers(1 << 62, size=25, dtype=np.uint64) * 2 + 1


#: Where this share of some surroundings is different, most of all are.
_SURELY = 0.9


@dataclass(frozen=True)
class Neighbourhoods:
    """The distinct surroundings of (N, H, W) masks.

    `inner`: (M, 9) labels of the distinct 3x3 ones, row by row, `OUTSIDE` where outside the frame.
    `outer`: (K, 9) of the distinct 5x5 ones: which of `inner` surrounds each of the nine pixels, M for
    one outside the frame. `index`: (N, H, W) int32, which of `outer` is each pixel's.
    """

    inner: np.ndarray
    outer: np.ndarray
    index: np.ndarray

    @property
    def share(self) -> float:
        """Distinct 5x5 surroundings for each pixel, above 0 and at most 1."""
        return len(self.outer) / self.index.size


def find(labels: np.ndarray, at_most: float = 1.0) -> Neighbourhoods | None:
    """Of `labels`, (N, H, W) integers below 255; None if their `share` is above `at_most`."""
    count, height, width = labels.shape
    framed = np.full((count, height + 4, width + 4), OUTSIDE, np.uint8)
    framed[:, 2:-2, 2:-2] = labels
    windows = np.lib.stride_tricks.sliding_window_view(framed, (1, 5, 5))
    plain = _is_of_one_class(framed)  # most pixels, which need no closer look
    classes, of_plain = np.unique(framed[:, 2:-2, 2:-2][plain], return_inverse=True)
    if np.count_nonzero(~plain) > at_most * labels.size:  # a glance at some may spare a look at all
        some = windows[~plain][::16].reshape(-1, 25)
        if len(_distinct(some)[0]) > max(_SURELY, at_most) * len(some):
            return None
    mixed, of_mixed = _distinct(windows[~plain].reshape(-1, 25))
    if len(classes) + len(mixed) > at_most * labels.size:
        return None
    index = np.empty(labels.shape, np.int32)
    index[plain], index[~plain] = of_plain, of_mixed + len(classes)
    distinct = np.concatenate([np.repeat(classes[:, None], 25, axis=1), mixed]).reshape(-1, 5, 5)

    parts = np.lib.stride_tricks.sliding_window_view(distinct, (1, 3, 3)).reshape(-1, 9)
    has_centre_inside = parts[:, 4] != OUTSIDE
    inner, numbers = _distinct(parts[has_centre_inside])
    outer = np.full(len(parts), len(inner), np.int32)
    outer[has_centre_inside] = numbers
    return Neighbourhoods(inner, outer.reshape(-1, 9), index)


def _is_of_one_class(framed: np.ndarray) -> np.ndarray:
    """(N, H + 4, W + 4) -> (N, H, W): whether the 5x5 window lies inside the frame and has one label only."""
    height, width = framed.shape[1] - 4, framed.shape[2] - 4
    across = framed[:, :, 1:] == framed[:, :, :-1]
    rows = np.logical_and.reduce([across[:, :, i : i + width] for i in range(4)])  # five labels in a row are one
    down = framed[:, 1:, 2:-2] == framed[:, :-1, 2:-2]
    alike = [rows[:, i : i + height] for i in range(5)] + [down[:, i : i + height] for i in range(4)]
    return np.logical_and.reduce(alike) & (framed[:, 2:-2, 2:-2] != OUTSIDE)


def _distinct(windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The different ones among `windows`, (n, places) uint8, and for each of the n which of them it is."""
    keys = windows.astype(np.uint64) @ _FACTORS[: windows.shape[1]]
    keys ^= keys >> np.uint64(31)
    _, first, index = np.unique(keys, return_index=True, return_inverse=True)
    if not (windows[first][index] == windows).all():  # two windows with one key: an accident of 1 in a billion
        distinct, index = np.unique(windows, axis=0, return_inverse=True)
        return distinct, index.reshape(-1)
    return windows[first], index.reshape(-1)
