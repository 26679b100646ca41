"""Reads masks and photos, resizes them, and encodes results. docs/files.md says what they may be.

Sizes are (width, height) in pixels as in Pillow; arrays are (height, width[, 3]) as in NumPy.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageFile, UnidentifiedImageError

from ecgan import files
from ecgan.config import ModelConfig
from ecgan.errors import reason

Size = tuple[int, int]
#: Of results, by the ending of their names.
Format = Literal["jpg", "png"]


class Encoding(NamedTuple):
    """How results of a format are written. `name`: as Pillow calls it; `bytes_per_pixel`: what one takes at most in
    practice."""

    name: str
    has_quality: bool
    bytes_per_pixel: float


#: All that is known of each format of results.
ENCODINGS: dict[Format, Encoding] = {"jpg": Encoding("JPEG", True, 1.5), "png": Encoding("PNG", False, 3.2)}
#: Value of a pixel that belongs to no class.
DONT_CARE = 255
#: Formats as Pillow calls them. It has forty more, some of which start programs or are hardly tried.
_PHOTO_FORMATS, _MASK_FORMATS = ("JPEG", "PNG", "WEBP"), ("PNG",)
_PHOTO_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK")
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L")
_MASK_MODES = ("1", "L", "P", *_DEEP_MODES)
#: What Pillow multiplies grey samples by that are stored so, to fill 0..255; single bits it leaves alone.
_SPREAD = {"L;2": 85, "L;4": 17}
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError)
#: How files begin that are taken for pictures, or are called like some.
_STARTS = (
    (rb"\xff\xd8\xff", "JPEG"),
    (rb"\x89PNG\r\n\x1a\n", "PNG"),
    (rb"RIFF....WEBP", "WebP"),
    (rb"GIF8", "GIF"),
    (rb"BM", "BMP"),
    (rb"II\*\0|MM\0\*", "TIFF"),
    (rb"....ftyp(avif|avis)", "AVIF"),
    (rb"....ftyp(heic|heix|hevc|mif1|msf1)", "HEIC"),
    (rb"%!PS", "PostScript"),
    (rb"%PDF", "PDF"),
)

# What it finds odd and reads all the same is no matter for the screen of whoever generates or trains.
warnings.filterwarnings("ignore", module=r"PIL\.")


class BadImage(Exception):
    """A file that can't be used; the message names it and says why."""


class WrongClasses(BadImage):
    """A mask that can be read, with pixels of no class."""


def read_bytes(path: Path) -> bytes:
    """The file as it is; raises BadImage."""
    try:
        return files.read_bytes(path)
    except FileNotFoundError:
        where = f" (a link to {os.readlink(path)})" if path.is_symlink() else ""
        raise BadImage(f"{path}: does not exist{where}") from None
    except OSError as error:
        raise BadImage(f"{path}: can't be read ({reason(error)})") from None


def read_mask(path: Path, model: ModelConfig, content: bytes | None = None) -> np.ndarray:
    """The class ids of a mask, (height, width) uint8 in 0..semantic_nc-1, at the file's own size.

    The number that is stored for a pixel is its class, in grey PNGs of 1 to 16 bits and in those with a palette; with
    a don't-care class 255 becomes class `label_nc`. `content`: the file's bytes, if they are at hand already.
    Raises WrongClasses naming the values out of range, and BadImage.
    """
    with _mask(path, model, content) as (image, spread):
        stored = np.asarray(image)
    labels = stored if spread == 1 else stored // spread
    if model.contain_dontcare_label:
        labels = np.where(labels == DONT_CARE, model.label_nc, labels)
    return labels.astype(np.uint8)


def check_mask(path: Path, model: ModelConfig, content: bytes | None = None) -> Size:
    """The (width, height) of a mask that `read_mask` reads. Raises like it."""
    with _mask(path, model, content) as (image, _):
        return image.size


def read_photo(path: Path, content: bytes | None = None) -> np.ndarray:
    """(height, width, 3) uint8 RGB at the file's own size. Raises BadImage.

    Of 16 bits the upper 8 are taken; transparency, a colour profile and a rotation noted in EXIF are ignored.
    """
    with _decoded(path, content) as image:
        if image.mode in _DEEP_MODES:
            return np.repeat((np.asarray(image) >> 8).astype(np.uint8)[..., None], 3, axis=2)
        if image.mode not in _PHOTO_MODES:
            raise BadImage(f"{path}: mode {image.mode}; a photo is grey, RGB or CMYK, or has a palette")
        return np.asarray(image.convert("RGB"))


def resize_mask(labels: np.ndarray, size: Size) -> np.ndarray:
    """Nearest, as masks must be."""
    if labels.shape[::-1] == size:
        return labels
    return np.asarray(Image.fromarray(labels).resize(size, Image.Resampling.NEAREST))


def resize_photo(photo: np.ndarray, size: Size) -> np.ndarray:
    """Bicubic."""
    if photo.shape[1::-1] == size:
        return photo
    return np.asarray(Image.fromarray(photo).resize(size, Image.Resampling.BICUBIC))


def encode(picture: np.ndarray, format: Format, quality: int) -> bytes:
    """`picture`: (height, width, 3) uint8 RGB. `quality` 1..100 has no effect where the format has none."""
    buffer = io.BytesIO()
    encoding = ENCODINGS[format]
    options: dict[str, Any] = {"quality": quality} if encoding.has_quality else {}
    Image.fromarray(picture).save(buffer, encoding.name, **options)
    return buffer.getvalue()


def size_of(path: Path) -> Size:
    """(width, height) of a picture, whose pixels are not read. Raises BadImage."""
    with _opened(path, read_bytes(path)) as image:
        return image.size


def check_picture(path: Path, size: Size, content: bytes | None = None) -> None:
    """Raises BadImage unless `path` decodes to the last byte and has `size`."""
    with _opened(path, read_bytes(path) if content is None else content) as image:
        width, height = image.size
        image.draft("L", (1, 1))  # of a JPEG all bytes are decoded, but an eighth of the picture made of them
        image.load()
    if (width, height) != size:
        raise BadImage(f"{path}: {width}x{height} instead of {size[0]}x{size[1]}")


@contextlib.contextmanager
def _mask(path: Path, model: ModelConfig, content: bytes | None) -> Iterator[tuple[ImageFile.ImageFile, int]]:
    """A mask, decoded, of whose pixels each has a class, and what its classes are multiplied by."""
    content = read_bytes(path) if content is None else content
    with _opened(path, content, _MASK_FORMATS, "a mask is a PNG file") as image:
        stored = [str(tile[3]) for tile in image.tile]  # while they are there: loading takes them away
        image.load()
        if image.mode not in _MASK_MODES:
            raise BadImage(f"{path}: mode {image.mode}; a mask has one channel of class ids (grey or palette)")
        spread = _SPREAD.get(stored[0], 1)
        _insist_on_classes(path, image, spread, model)
        yield image, spread


def _insist_on_classes(path: Path, image: Image.Image, spread: int, model: ModelConfig) -> None:
    """Of each value that there is, and not of each pixel: that would take longer than decoding."""
    is_counted = image.mode in ("L", "P")
    values = np.flatnonzero(image.histogram()) if is_counted else np.unique(np.asarray(image)).astype(np.int64)
    classes = np.unique(values // spread)
    is_wrong = (classes < 0) | (classes >= model.label_nc)
    if model.contain_dontcare_label:
        is_wrong &= classes != DONT_CARE
    if is_wrong.any():
        wrong = classes[is_wrong]
        shown = ", ".join(str(value) for value in wrong[:8]) + (", …" if wrong.size > 8 else "")
        allowed = f"0..{model.label_nc - 1}" + (" and 255" if model.contain_dontcare_label else "")
        raise WrongClasses(f"{path}: class {shown} outside {allowed}")


@contextlib.contextmanager
def _decoded(path: Path, content: bytes | None = None) -> Iterator[ImageFile.ImageFile]:
    with _opened(path, read_bytes(path) if content is None else content) as image:
        image.load()
        yield image


@contextlib.contextmanager
def _opened(
    path: Path,
    content: bytes,
    formats: tuple[str, ...] = _PHOTO_FORMATS,
    wanted: str = "a picture is a JPEG, PNG or WebP file",
) -> Iterator[ImageFile.ImageFile]:
    """A picture of one of `formats`. What Pillow raises is raised as BadImage."""
    try:
        with Image.open(io.BytesIO(content), formats=formats) as image:
            yield image
    except UnidentifiedImageError:
        kind = next((kind for start, kind in _STARTS if re.match(start, content, re.DOTALL)), None)
        if kind is not None and kind.upper() not in formats:
            raise BadImage(f"{path}: its content is {kind}; {wanted}") from None
        raise BadImage(f"{path}: unreadable or truncated (not a picture)") from None
    except Image.DecompressionBombError:
        raise BadImage(f"{path}: more than {2 * (Image.MAX_IMAGE_PIXELS or 0):,} pixels") from None
    except _DECODING_ERRORS as error:
        raise BadImage(f"{path}: unreadable or truncated ({error})") from None
