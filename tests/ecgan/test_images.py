"""Masks of every kind, photos, and what can be wrong with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, check_picture, encode, read_mask, read_photo, resize_mask, resize_photo

MODEL = ModelConfig()
LABELS = np.arange(28, dtype=np.uint8).reshape(4, 7)


def save(path: Path, mode: str) -> Path:
    if mode == "P":
        image = Image.fromarray(LABELS, "L").copy()
        image.putpalette([value for index in range(256) for value in (255 - index, index, 7)])
    elif mode == "I;16":
        image = Image.fromarray(LABELS.astype(np.uint16))
    else:
        image = Image.fromarray(LABELS).convert(mode)
    assert image.mode == mode
    image.save(path)
    return path


@pytest.mark.parametrize("mode", ["L", "P", "I;16"])
def test_pixel_value_is_the_class_in_every_kind_of_file(tmp_path: Path, mode: str) -> None:
    labels = read_mask(save(tmp_path / "m.png", mode), MODEL)
    assert labels.dtype == np.uint8 and np.array_equal(labels, LABELS)


def test_classes_out_of_range_are_listed(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 28], [29, 255]], np.uint8)).save(tmp_path / "m.png")
    with pytest.raises(BadImage, match=r"m.png: class 29, 255 outside 0..28"):
        read_mask(tmp_path / "m.png", MODEL)
    Image.fromarray(np.array([[7000]], np.uint16)).save(tmp_path / "m.png")
    with pytest.raises(BadImage, match="class 7000"):
        read_mask(tmp_path / "m.png", MODEL)


def test_255_is_the_dont_care_class_where_there_is_one(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, contain_dontcare_label=True)
    Image.fromarray(np.array([[0, 28], [28, 255]], np.uint8)).save(tmp_path / "m.png")
    assert read_mask(tmp_path / "m.png", model).tolist() == [[0, 28], [28, 29]]


def test_unusable_files_are_named(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "rgb.png")
    with pytest.raises(BadImage, match="rgb.png: mode RGB"):
        read_mask(tmp_path / "rgb.png", MODEL)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name in ("text.png", "empty.jpg"):
        with pytest.raises(BadImage, match=f"{name}: unreadable or truncated"):
            read_photo(tmp_path / name)
    with pytest.raises(BadImage, match="does not exist"):
        read_photo(tmp_path / "none.jpg")


def test_rotation_in_exif_is_ignored(tmp_path: Path) -> None:
    image = Image.fromarray(np.zeros((4, 6, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / "p.jpg", exif=exif)
    assert read_photo(tmp_path / "p.jpg").shape == (4, 6, 3)


def test_grey_photos_become_rgb(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 6), 9, np.uint8)).save(tmp_path / "p.png")
    assert read_photo(tmp_path / "p.png").tolist() == np.full((4, 6, 3), 9).tolist()


def test_resizing_keeps_classes_and_range() -> None:
    resized = resize_mask(LABELS, (21, 12))
    assert resized.shape == (12, 21) and set(np.unique(resized)) == set(range(28))
    photo = np.random.default_rng(0).integers(0, 256, (8, 8, 3)).astype(np.uint8)
    assert resize_photo(photo, (5, 3)).shape == (3, 5, 3)
    assert resize_photo(photo, (8, 8)) is photo


def test_encoded_picture_is_checked_to_the_last_byte(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    for format in ("jpg", "png"):
        path = tmp_path / f"p.{format}"
        content = encode(picture, format, 95)  # type: ignore[arg-type]
        path.write_bytes(content)
        check_picture(path, (64, 64))
        with pytest.raises(BadImage, match="64x64 instead of 64x32"):
            check_picture(path, (64, 32))
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(BadImage, match="truncated"):
            check_picture(path, (64, 64))
    assert np.array_equal(read_photo_of(encode(picture, "png", 95), tmp_path), picture)


def read_photo_of(content: bytes, folder: Path) -> np.ndarray:
    (folder / "again.png").write_bytes(content)
    return read_photo(folder / "again.png")
