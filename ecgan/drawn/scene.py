"""Puts a scene together: land, then things, then paint."""

from __future__ import annotations

import numpy as np

from ecgan.data.images import Size
from ecgan.drawn.ground import lay_out_ground
from ecgan.drawn.layout import Layout
from ecgan.drawn.paint import paint
from ecgan.drawn.plan import plan_scene
from ecgan.drawn.plants import plants
from ecgan.drawn.structures import structures
from ecgan.drawn.style import Style, Styles, pick_style
from ecgan.drawn.things import stamp_all
from ecgan.errors import UserError

#: Pixels: in smaller pictures there is nothing to be told apart.
SMALLEST = 32


def draw(
    seed: int,
    size: Size = (512, 384),
    style: Style | None = None,
    among: Styles = Styles(),  # noqa: B008
) -> tuple[np.ndarray, np.ndarray]:
    """A photo, (height, width, 3) uint8 RGB, and its mask, (height, width) uint8 class ids.

    `seed` decides the layout, and the style `among` those unless one is given; the same seed is the same scene at
    any size. Raises UserError if `size` (width, height) is too small.
    """
    layout = compose(seed, size)
    return paint(layout, style or pick_style(seed, among)), layout.labels


def compose(seed: int, size: Size = (512, 384)) -> Layout:
    """The layout alone, which `paint` can paint in any style. Raises UserError if `size` is too small."""
    if min(size) < SMALLEST:
        raise UserError(f"size {size[0]}x{size[1]}: a scene needs at least {SMALLEST} pixels either way")
    layout = lay_out_ground(plan_scene(seed), size)
    stamp_all(layout, [*plants(layout), *structures(layout)])
    return layout
