"""Pictures side by side."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from ecgan.contact_sheet import contact_sheet

RED, GREEN, BLUE = (255, 0, 0), (0, 255, 0), (0, 0, 255)


def _plain(colour: tuple[int, int, int], width: int = 256, height: int = 192) -> np.ndarray:
    return np.full((height, width, 3), colour, np.uint8)


def _count(sheet: Image.Image, colour: tuple[int, int, int]) -> int:
    return int((np.asarray(sheet) == colour).all(axis=2).sum())


def _middle(sheet: Image.Image, colour: tuple[int, int, int]) -> tuple[float, float]:
    rows, columns = np.nonzero((np.asarray(sheet) == colour).all(axis=2))
    return float(columns.mean()), float(rows.mean())


def test_pictures_stand_in_rows_and_columns() -> None:
    sheet = contact_sheet([[_plain(RED), _plain(GREEN)], [_plain(BLUE)]], headings=("left", "right"))
    assert sheet.mode == "RGB"
    assert [_count(sheet, colour) for colour in (RED, GREEN, BLUE)] == [256 * 192] * 3
    (red_x, red_y), (green_x, green_y), (blue_x, blue_y) = (_middle(sheet, colour) for colour in (RED, GREEN, BLUE))
    assert red_x == blue_x < green_x
    assert red_y == green_y < blue_y


def test_every_column_has_its_heading() -> None:
    with_headings = contact_sheet([[_plain(RED)] * 3])
    without = contact_sheet([[_plain(RED)] * 3], headings=())
    assert with_headings.height > without.height
    above = np.asarray(with_headings.crop((0, 0, with_headings.width, with_headings.height - without.height)))
    ink = np.nonzero((above < 128).all(axis=2).any(axis=0))[0]
    thirds = {int(column * 3 / with_headings.width) for column in ink}
    assert thirds == {0, 1, 2}


def test_the_sheet_says_what_it_was_told() -> None:
    one, other = (contact_sheet([[_plain(RED)]], headings=(heading,)) for heading in ("mask", "reference"))
    assert one.size == other.size
    assert one.tobytes() != other.tobytes()
    assert one.tobytes() == contact_sheet([[_plain(RED)]], headings=("mask",)).tobytes()


def test_pictures_of_any_size_fit_their_tile_at_their_own_aspect() -> None:
    sheet = contact_sheet([[_plain(RED, 400, 100), _plain(GREEN, 10, 20)]], tile=(80, 60), headings=("a", "b"))
    assert _count(sheet, RED) == 80 * 20
    assert _count(sheet, GREEN) == 30 * 60


def test_a_grown_mask_keeps_its_colours() -> None:
    halves = np.concatenate([_plain(RED, 2, 4), _plain(BLUE, 2, 4)], axis=1)
    sheet = contact_sheet([[halves]], tile=(64, 64), headings=())
    assert _count(sheet, RED) == _count(sheet, BLUE) == 32 * 64


def test_nothing_to_show_is_an_error() -> None:
    with pytest.raises(ValueError):
        contact_sheet([])
    with pytest.raises(ValueError):
        contact_sheet([[]], headings=())


def test_more_pictures_than_headings_is_an_error() -> None:
    with pytest.raises(ValueError, match=" 4 .* 3 "):
        contact_sheet([[_plain(RED)], [_plain(RED)] * 4])
