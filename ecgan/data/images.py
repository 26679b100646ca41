"""Reads masks and photos, resizes them, and encodes results.

Sizes are (width, height) in pixels as in Pillow; arrays are (height, width[, 3]) as in NumPy.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image, UnidentifiedImageError

from ecgan.config import ModelConfig

Size = tuple[int, int]
Format = Literal["jpg", "png"]

#: Endings of a photo's name, in lower case.
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
#: Value of a pixel that belongs to no class.
DONT_CARE = 255
_MASK_MODES = ("1", "L", "P", "I", "I;16", "I;16B", "I;16L")
_DECODING_ERRORS = (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError)


class BadImage(Exception):
    """A file that can't be used; the message names it and says why."""


def read_bytes(path: Path) -> bytes:
    """The file as it is; raises BadImage."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise BadImage(f"{path}: does not exist") from None
    except OSError as error:
        raise BadImage(f"{path}: can't be read ({error.strerror})") from None


def read_mask(path: Path, model: ModelConfig, content: bytes | None = None) -> np.ndarray:
    """The class ids of a mask, (height, width) uint8 in 0..semantic_nc-1, at the file's own size.

    The pixel's number is the class id in 8-bit, palette and integer files alike; with a don't-care
    class 255 becomes class `label_nc`. `content`: the file's bytes, if they are at hand already.
    Raises BadImage naming the values out of range.
    """
    image = _decode(path, content)
    if image.mode not in _MASK_MODES:
        raise BadImage(f"{path}: mode {image.mode}; a mask has one channel of class ids (8-bit, palette or integer)")
    labels = np.asarray(image).astype(np.int64)
    dont_care = (labels == DONT_CARE) & model.contain_dontcare_label
    wrong = np.unique(labels[((labels < 0) | (labels >= model.label_nc)) & ~dont_care])
    if wrong.size:
        shown = ", ".join(str(value) for value in wrong[:8]) + (", …" if wrong.size > 8 else "")
        allowed = f"0..{model.label_nc - 1}" + (" and 255" if model.contain_dontcare_label else "")
        raise BadImage(f"{path}: class {shown} outside {allowed}")
    return np.where(dont_care, model.label_nc, labels).astype(np.uint8)


def read_photo(path: Path, content: bytes | None = None) -> np.ndarray:
    """(height, width, 3) uint8 RGB at the file's own size; a rotation noted in EXIF is ignored. Raises BadImage."""
    return np.asarray(_decode(path, content).convert("RGB"))


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
    """`picture`: (height, width, 3) uint8 RGB. `quality` 1..100 is JPEG's and has no effect on PNG."""
    buffer = io.BytesIO()
    if format == "jpg":
        Image.fromarray(picture).save(buffer, "JPEG", quality=quality)
    else:
        Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def size_of(path: Path) -> Size:
    """(width, height) of a picture, whose pixels are not read. Raises BadImage."""
    with _reporting(path), Image.open(io.BytesIO(read_bytes(path))) as image:
        return image.size


def check_picture(path: Path, size: Size) -> None:
    """Raises BadImage unless `path` decodes to the last byte and has `size`."""
    image = _decode(path, None)
    if image.size != size:
        raise BadImage(f"{path}: {image.width}x{image.height} instead of {size[0]}x{size[1]}")


def _decode(path: Path, content: bytes | None) -> Image.Image:
    with _reporting(path), Image.open(io.BytesIO(read_bytes(path) if content is None else content)) as image:
        image.load()
        return image


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    """What Pillow raises as BadImage."""
    try:
        yield
    except UnidentifiedImageError:
        raise BadImage(f"{path}: unreadable or truncated (not a picture)") from None
    except _DECODING_ERRORS as error:
        raise BadImage(f"{path}: unreadable or truncated ({error})") from None
