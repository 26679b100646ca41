"""Masks of every kind, photos, and what can be wrong with them."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import os
import socket
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from conftest import ROOT
from made_up_png import (
    CHANNELS,
    DEPTHS,
    GAMMA,
    GREY,
    GREY_ALPHA,
    PALETTE,
    RGB,
    RGB_ALPHA,
    palette,
    png,
    transparency,
)
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.images import (
    ENCODINGS,
    BadImage,
    Encoding,
    Format,
    WrongClasses,
    check_picture,
    encode,
    read_bytes,
    read_mask,
    read_photo,
    resize_mask,
    resize_photo,
    size_of,
)

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
    with pytest.raises(BadImage, match=r"rgb\.png.*RGB"):
        read_mask(tmp_path / "rgb.png", MODEL)
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    for name in ("text.png", "empty.jpg"):
        with pytest.raises(BadImage, match=name):
            read_photo(tmp_path / name)
    with pytest.raises(BadImage, match=r"none\.jpg"):
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
    assert ENCODINGS.keys() == set(get_args(Format))
    for format in ENCODINGS:
        path = tmp_path / f"p.{format}"
        content = encode(picture, format, 95)
        path.write_bytes(content)
        check_picture(path, (64, 64))
        with pytest.raises(BadImage, match="64x64.*64x32"):
            check_picture(path, (64, 32))
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(BadImage, match="truncated"):
            check_picture(path, (64, 64))
    assert np.array_equal(read_photo_of(encode(picture, "png", 95), tmp_path), picture)


def test_another_format_is_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(ENCODINGS, "webp", Encoding("WEBP", True, 1.5))  # type: ignore[misc]
    picture = np.random.default_rng(0).integers(0, 256, (48, 64, 3)).astype(np.uint8)
    coarse, fine = (encode(picture, "webp", quality) for quality in (10, 95))  # type: ignore[arg-type]
    assert coarse.startswith(b"RIFF") and len(coarse) < len(fine)
    assert read_photo_of(fine, tmp_path).shape == picture.shape


def read_photo_of(content: bytes, folder: Path) -> np.ndarray:
    (folder / "again.png").write_bytes(content)
    return read_photo(folder / "again.png")


def of_depth(depth: int, colour: int, most: int, size: tuple[int, int] = (11, 9)) -> np.ndarray:
    """Random samples of 0..most, as far as `depth` goes."""
    width, height = size
    random = np.random.default_rng(depth)
    return random.integers(0, min(most + 1, 2**depth), (height, width, CHANNELS[colour]))


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("extra", ["none", "gamma", "transparency"])
@pytest.mark.parametrize(("colour", "depth"), [(c, d) for c in (GREY, PALETTE) for d in DEPTHS[c]])
def test_the_stored_sample_is_the_class_in_every_depth(
    tmp_path: Path, colour: int, depth: int, extra: str, interlaced: bool
) -> None:
    samples = of_depth(depth, colour, 28)
    chunks = [palette(2**depth)] if colour == PALETTE else []
    if extra != "none":
        chunks.append(GAMMA if extra == "gamma" else transparency(colour))
    (tmp_path / "m.png").write_bytes(
        png(samples, depth, colour, chunks[::-1] if extra == "gamma" else chunks, interlaced)
    )
    assert np.array_equal(read_mask(tmp_path / "m.png", MODEL), samples[..., 0])


def test_few_bits_may_be_a_class_too_many(tmp_path: Path) -> None:
    model = dataclasses.replace(MODEL, label_nc=3)
    (tmp_path / "m.png").write_bytes(png(np.array([[0, 3]]), 2, GREY))
    with pytest.raises(WrongClasses, match="class 3 "):
        read_mask(tmp_path / "m.png", model)


@pytest.mark.parametrize("colour", [RGB, GREY_ALPHA, RGB_ALPHA])
@pytest.mark.parametrize("depth", [8, 16])
def test_masks_of_several_channels_are_refused(tmp_path: Path, colour: int, depth: int) -> None:
    (tmp_path / "m.png").write_bytes(png(of_depth(depth, colour, 28), depth, colour))
    with pytest.raises(BadImage, match=r"m\.png.*channel") as refused:
        read_mask(tmp_path / "m.png", MODEL)
    assert not isinstance(refused.value, WrongClasses)


def written(image: Image.Image, form: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (12, 16, 3)).astype(np.uint8))
OTHERS = {
    "GIF": written(PICTURE.quantize(16), "GIF"),
    "BMP": written(PICTURE, "BMP"),
    "TIFF": written(PICTURE, "TIFF"),
    "PostScript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 16 12\nshowpage\n",
    "PDF": b"%PDF-1.4\n",
}


@pytest.mark.parametrize("kind", [*OTHERS, "JPEG", "WebP"])
def test_a_mask_is_a_png_whatever_its_name(tmp_path: Path, kind: str) -> None:
    grey = Image.fromarray(LABELS)
    content = OTHERS.get(kind) or written(grey if kind == "JPEG" else PICTURE, kind.upper())
    (tmp_path / "m.png").write_bytes(content)
    with pytest.raises(BadImage, match=f"m.png.*{kind}.*PNG"):
        read_mask(tmp_path / "m.png", MODEL)


@pytest.mark.parametrize("kind", OTHERS)
@pytest.mark.parametrize("read", [read_photo, size_of, lambda path: check_picture(path, (16, 12))])
def test_other_formats_are_not_tried(
    tmp_path: Path, kind: str, read: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("subprocess.Popen", lambda *words, **options: pytest.fail(f"started {words}"))
    (tmp_path / "p.jpg").write_bytes(OTHERS[kind])
    with pytest.raises(BadImage, match=f"p.jpg.*{kind}"):
        read(tmp_path / "p.jpg")


@pytest.mark.parametrize("content", [b"qoif" + bytes(40), b"DDS " + bytes(200), b"P6 2 2 255 " + bytes(12), b"8BPS"])
def test_what_is_no_picture_is_told_so(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "p.jpg").write_bytes(content)
    with pytest.raises(BadImage, match=r"p\.jpg"):
        read_photo(tmp_path / "p.jpg")


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "MPO"])
def test_photos_are_read_as_pillow_reads_them(tmp_path: Path, form: str) -> None:
    several = {"save_all": True, "append_images": [PICTURE.rotate(180)]} if form == "MPO" else {}
    (tmp_path / "p.jpg").write_bytes(written(PICTURE, form, **several))
    first = np.asarray(Image.open(tmp_path / "p.jpg").convert("RGB"))
    assert np.array_equal(read_photo(tmp_path / "p.jpg"), first)
    assert size_of(tmp_path / "p.jpg") == (16, 12)


@pytest.mark.parametrize("interlaced", [False, True])
@pytest.mark.parametrize("is_transparent", [False, True])
@pytest.mark.parametrize(("colour", "depth"), [(colour, depth) for colour in DEPTHS for depth in DEPTHS[colour]])
def test_photos_of_every_depth(tmp_path: Path, colour: int, depth: int, is_transparent: bool, interlaced: bool) -> None:
    """Of 16 bits the upper 8, fewer are spread over 0..255, and transparency hides no colour."""
    samples = of_depth(depth, colour, 2**depth - 1)
    chunks = [palette(2**depth)] if colour == PALETTE else []
    if is_transparent and colour in (GREY, RGB, PALETTE):
        chunks.append(transparency(colour))
    (tmp_path / "p.png").write_bytes(png(samples, depth, colour, chunks, interlaced))
    if colour == PALETTE:
        index = samples[..., 0]
        expected = np.stack([255 - index, index, np.full_like(index, 7)], axis=2)
    else:
        colours = samples[..., :3] if colour in (RGB, RGB_ALPHA) else samples[..., :1].repeat(3, axis=2)
        expected = colours >> 8 if depth == 16 else colours * (255 // (2**depth - 1))
    photo = read_photo(tmp_path / "p.png")
    assert photo.dtype == np.uint8 and np.array_equal(photo, expected)


def test_cmyk_is_converted(tmp_path: Path) -> None:
    PICTURE.convert("CMYK").save(tmp_path / "p.jpg", quality=95)
    assert np.abs(read_photo(tmp_path / "p.jpg").astype(int) - np.asarray(PICTURE)).mean() < 30


def fifo(path: Path) -> None:
    os.mkfifo(path)


def plug(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(os.path.relpath(path))  # the whole path may be too long for one


def circle(path: Path) -> None:
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (fifo, "a FIFO, not a file"),
        (plug, "a socket, not a file"),
        (Path.mkdir, "a folder, not a file"),
        (lambda path: path.symlink_to("/dev/zero"), "a device, not a file"),
        (circle, "Too many levels of symbolic links"),
        (lambda path: path.symlink_to("gone.png"), r"does not exist \(a link to gone.png\)"),
    ],
)
@pytest.mark.parametrize("read", [read_bytes, read_photo, lambda path: read_mask(path, MODEL), size_of])
def test_what_is_no_file_is_refused_unopened(
    tmp_path: Path, make: Callable[[Path], None], told: str, read: Callable[[Path], object]
) -> None:
    make(tmp_path / "p.png")
    with pytest.raises(BadImage, match=f"p.png: .*{told}"):
        read(tmp_path / "p.png")


def test_links_to_files_are_followed(tmp_path: Path) -> None:
    PICTURE.save(tmp_path / "p.png")
    (tmp_path / "link.png").symlink_to("p.png")
    assert np.array_equal(read_photo(tmp_path / "link.png"), np.asarray(PICTURE))


def test_too_many_pixels_are_told(tmp_path: Path) -> None:
    huge = png(np.zeros((1, 1), int), 8, GREY).replace((1).to_bytes(4, "big") * 2, (100_000).to_bytes(4, "big") * 2)
    fixed = bytearray(huge)
    fixed[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (tmp_path / "p.png").write_bytes(fixed)
    with pytest.raises(BadImage, match=r"p\.png.* pixels"):
        read_photo(tmp_path / "p.png")


def test_damaged_files_raise_nothing_else(tmp_path: Path) -> None:
    """Thousands were tried; these are a sample."""
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = [
        written(PICTURE, "JPEG", exif=exif),
        written(PICTURE, "MPO", save_all=True, append_images=[PICTURE]),
        written(PICTURE.quantize(16), "PNG", transparency=b"\0\x80"),
        written(PICTURE, "WEBP", exif=exif),
        png(LABELS.astype(int) % 16, 4, GREY, [GAMMA], True),
    ]
    random = np.random.default_rng(7)
    for number, content in itertools.product(range(60), whole):
        damaged = bytearray(content)
        for place in random.integers(0, min(len(damaged), 200), 1 + number % 4):
            damaged[place] = random.integers(0, 256)
        (tmp_path / "p.png").write_bytes(damaged[: None if number % 3 else len(damaged) // 2])
        for read in (read_photo, lambda path: read_mask(path, MODEL)):
            with contextlib.suppress(BadImage):
                read(tmp_path / "p.png")


@pytest.mark.process
def test_large_pictures_are_read_without_a_word(tmp_path: Path) -> None:
    Image.new("1", (9500, 9500)).save(tmp_path / "p.png")  # more than Pillow takes without one
    program = "import pathlib, sys; from ecgan.data.images import size_of; size_of(pathlib.Path(sys.argv[1]))"
    job = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "p.png"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert job.returncode == 0 and not job.stderr
