"""Pictures side by side with headings, to be looked at: mask, reference, result."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ecgan.data.images import Size

_GAP = 6
_BACKGROUND, _INK = (255, 255, 255), (40, 40, 40)


def contact_sheet(
    rows: Sequence[Sequence[np.ndarray]],
    tile: Size = (256, 192),
    headings: Sequence[str] = ("mask", "reference", "result"),
) -> Image.Image:
    """One row of tiles per entry of `rows`, with `headings` above the columns.

    `rows`: (H, W, 3) uint8 RGB pictures of any size, shrunk or grown to fit `tile` (width, height)
    at their own aspect; a row may be shorter than `headings`. No heading: no line for them.
    Raises ValueError if there is nothing to show, or a row is longer than `headings`.
    """
    columns = len(headings) or max((len(row) for row in rows), default=0)
    if not rows or not columns:
        raise ValueError("a contact sheet needs at least one picture")
    longest = max(len(row) for row in rows)
    if longest > columns:
        raise ValueError(f"a row has {longest} pictures, there are {columns} headings")
    font = ImageFont.load_default()
    top = _heading_height(font) if headings else _GAP
    width = _GAP + columns * (tile[0] + _GAP)
    sheet = Image.new("RGB", (width, top + len(rows) * (tile[1] + _GAP)), _BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    for column, heading in enumerate(headings):
        left, upper, right, lower = font.getbbox(heading)
        corner = (_GAP + column * (tile[0] + _GAP) + (tile[0] - right - left) / 2, (top - lower - upper) / 2)
        draw.text(corner, heading, fill=_INK, font=font)
    for number, row in enumerate(rows):
        for column, picture in enumerate(row):
            _paste(sheet, picture, (_GAP + column * (tile[0] + _GAP), top + number * (tile[1] + _GAP)), tile)
    return sheet


def _heading_height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    _, upper, _, lower = font.getbbox("Ag")
    return int(lower - upper) + 2 * _GAP


def _paste(sheet: Image.Image, picture: np.ndarray, corner: tuple[int, int], tile: Size) -> None:
    """In the middle of its tile."""
    height, width = picture.shape[:2]
    scale = min(tile[0] / width, tile[1] / height)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Nearest keeps the colours of a mask when it grows; shrinking needs an average, or thin things vanish.
    method = Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST
    image = Image.fromarray(picture).resize(size, method) if size != (width, height) else Image.fromarray(picture)
    sheet.paste(image, (corner[0] + (tile[0] - size[0]) // 2, corner[1] + (tile[1] - size[1]) // 2))
