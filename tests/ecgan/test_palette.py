"""Class names, and the colours masks are shown in."""

from __future__ import annotations

import numpy as np
import pytest

from ecgan.palette import COLOURS, NAMES, all_colours, class_id, class_name, colourise


def test_names_are_the_contests_in_its_order() -> None:
    assert len(NAMES) == len(set(NAMES)) == 29
    assert [NAMES[label] for label in (0, 1, 3, 12, 20, 27, 28)] == [
        "mountain",
        "sky",
        "sea",
        "grass",
        "lake",
        "house",
        "other",
    ]


def test_names_and_ids_are_each_others_inverse() -> None:
    assert [class_id(name) for name in NAMES] == list(range(29))
    assert class_name(5) == "tree"
    assert class_name(29) == "class 29"
    with pytest.raises(ValueError):
        class_id("lighthouse")


def test_every_id_has_a_colour_of_its_own() -> None:
    table = all_colours()
    assert table.shape == (256, 3)
    assert table.dtype == np.uint8
    assert len({tuple(colour) for colour in table.tolist()}) == 256
    assert np.array_equal(table[:29], COLOURS)


def test_named_colours_can_be_told_apart() -> None:
    colours = COLOURS.astype(int)
    distance = np.abs(colours[:, None] - colours[None]).sum(axis=2) + 1000 * np.eye(29, dtype=int)
    assert distance.min() >= 20


def test_colours_stay_the_same() -> None:
    assert colourise(np.array([[1, 29]])).tolist() == [[[140, 200, 245], [128, 85, 51]]]


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_colourise_gives_each_pixel_its_class_colour(dtype: type) -> None:
    labels = np.array([[0, 5, 28], [29, 200, 255]], dtype=dtype)
    picture = colourise(labels)
    assert picture.shape == (2, 3, 3)
    assert picture.dtype == np.uint8
    assert np.array_equal(picture[0, 1], COLOURS[5])
    assert np.array_equal(picture[1], all_colours()[[29, 200, 255]])


def test_colours_handed_out_are_copies() -> None:
    colourise(np.zeros((1, 1), np.uint8))[:] = 0
    assert colourise(np.zeros((1, 1), np.uint8)).any()


@pytest.mark.parametrize("wrong", [-1, 256])
def test_ids_out_of_range_are_refused(wrong: int) -> None:
    with pytest.raises(ValueError, match=r"outside 0\.\.255"):
        colourise(np.array([[0, wrong]]))


def test_an_empty_mask_is_an_empty_picture() -> None:
    assert colourise(np.zeros((0, 4), np.uint8)).shape == (0, 4, 3)
