"""The camera, and what of a height field it sees.

World: x to the right, y up (0 is the water level), z ahead, in metres; the camera stands at x = z = 0.
Picture: columns to the right, rows down, in pixels; a pixel is looked at in its middle.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Distances at which the height field is evaluated, and how many of them lie before MIDDLE.
SLICES, NEAR_SLICES = 384, 200
#: Metres: where slices get denser again, for mountains; and where the world ends.
MIDDLE, FAR = 700.0, 9000.0


@dataclass(frozen=True)
class Camera:
    """`focal` in pixels, `horizon` a row, `eye` in metres above the water level, `near` the nearest slice in metres."""

    width: int
    height: int
    focal: float
    horizon: float
    eye: float
    near: float

    @cached_property
    def z(self) -> np.ndarray:
        """(SLICES, 1) float32 metres, ascending."""
        near = np.geomspace(self.near, MIDDLE, NEAR_SLICES, endpoint=False)
        return np.concatenate([near, np.geomspace(MIDDLE, FAR, SLICES - NEAR_SLICES)])[:, None].astype(np.float32)

    @cached_property
    def tangent(self) -> np.ndarray:
        """(1, width) float32: x / z of each column."""
        return ((np.arange(self.width) + 0.5 - self.width / 2) / self.focal)[None, :].astype(np.float32)

    @cached_property
    def rows(self) -> np.ndarray:
        """(height, 1) float32: the middle of each row."""
        return (np.arange(self.height, dtype=np.float32) + 0.5)[:, None]

    def row(self, y: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        """The row in which a point is seen."""
        return np.asarray(self.horizon + (self.eye - y) * self.focal / z)

    def column(self, x: np.ndarray | float, z: np.ndarray | float) -> np.ndarray:
        return np.asarray(self.width / 2 + x * self.focal / z)

    def pixels(self, metres: float, z: float) -> float:
        return metres * self.focal / z


@dataclass(frozen=True)
class View:
    """What each pixel sees.

    sky: (height, width) bool. Of the rows from `top` on, the first with anything but sky: index, the
    flat index into a grid of the slice that hides the rest; blend, float32 0..1, how far behind the
    slice before the ray meets the surface between the two (1: at the slice).
    """

    sky: np.ndarray
    top: int
    index: np.ndarray
    blend: np.ndarray

    @cached_property
    def previous(self) -> np.ndarray:
        """The slice before, at the nearest slice itself."""
        return _before(self.index, self.sky.shape[1])

    def of(self, grid: np.ndarray) -> np.ndarray:
        """`grid`, (SLICES, width) or (SLICES, 1) float32, as seen by each pixel, interpolated; 0 above `top`."""
        seen = np.zeros(self.sky.shape, np.float32)
        flat, here, previous = grid.ravel(), self.index, self.previous
        if grid.shape[1] == 1:
            here, previous = here // self.sky.shape[1], previous // self.sky.shape[1]
        before = flat.take(previous)
        seen[self.top :] = before + (flat.take(here) - before) * self.blend
        return seen


def look(seen: np.ndarray, rows: np.ndarray) -> View:
    """Which slice hides which pixel.

    `seen`: (SLICES, width) float32, the row in which each point of the height field is seen; nearer
    slices hide farther ones. `rows`: (height, 1), ascending by 1.
    """
    count, width = seen.shape
    height = len(rows)
    highest = np.minimum.accumulate(seen, axis=0)
    reached = np.clip(np.ceil(highest - float(rows[0, 0])), 0, height).astype(np.int64)
    top = int(reached[-1].min())
    reached = np.maximum(reached - top, 0)
    histogram = np.bincount((reached * width + np.arange(width)).ravel(), minlength=(height - top + 1) * width)
    step = count - np.cumsum(histogram.reshape(-1, width)[: height - top], axis=0)
    sky = np.ones((height, width), bool)
    sky[top:] = step == count
    index = np.minimum(step, count - 1) * width + np.arange(width)
    near = seen.ravel().take(_before(index, width))
    gap = near - seen.ravel().take(index)
    blend = np.clip((near - rows[top:]) / np.where(gap > 0, gap, np.inf), 0, 1)
    return View(sky, top, index, np.where(gap > 0, blend, 1).astype(np.float32))


def _before(index: np.ndarray, width: int) -> np.ndarray:
    return np.where(index >= width, index - width, index)


def first_below(grid: np.ndarray, start: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """For each ray the first slice from `start` on where `grid` is at or above `rows` in the picture (a smaller row).

    `grid`: (SLICES, width) float32. `start`: flat indices into it; `rows`: the same shape. Returns
    flat indices; past the last slice (>= grid.size) where there is none.
    """
    count, width = grid.shape
    highest = [grid]  # over 1, 2, 4, … slices from here on
    while (span := 1 << (len(highest) - 1)) < count:
        shifted = np.full_like(grid, np.inf)
        shifted[: count - span] = highest[-1][span:]
        highest.append(np.minimum(highest[-1], shifted))
    position = start.copy()
    for level in range(len(highest) - 1, -1, -1):
        free = highest[level].ravel()[np.minimum(position, grid.size - 1)] > rows
        position += np.where(free & (position < grid.size), width << level, 0)
    return position
