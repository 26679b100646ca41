"""Builds the page: thumbnails and numbers of every picture, which the page's own script shows as one scrolls."""

from __future__ import annotations

import base64
import html
import io
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, read_mask, read_photo
from ecgan.palette import class_name, colourise
from ecgan.threads import in_threads

#: Width and height into which a thumbnail fits, and its JPEG quality.
_THUMBNAIL, _QUALITY = (256, 192), 78


@dataclass(frozen=True)
class Entry:
    """One picture. `results`: the picture in each results folder that is shown, one or two; any file may be missing.

    `numbers`: what is known of it by name, e.g. "style", None where it is undefined.
    """

    name: str
    mask: Path
    reference: Path
    results: Sequence[Path]
    numbers: dict[str, float | None]


def gallery(
    title: str,
    columns: Sequence[str],
    entries: Sequence[Entry],
    model: ModelConfig,
    folder: Path,
    count: Callable[[], object] = lambda: None,
) -> tuple[str, list[str]]:
    """HTML of all entries, and what could not be shown, with the reason.

    `columns`: a heading for each of an entry's results; `model` says the masks' classes; `folder`: where the page
    will lie, for links to the files; `count` is called after each entry.
    """

    described = in_threads(lambda entry: _describe(entry, model, folder), entries, tick=count)
    rows = [values for values, _ in described]
    missing = [fault for _, faults in described for fault in faults]
    classes = sorted({label for row in rows for label in row["classes"]})
    numbers = list(dict.fromkeys(name for entry in entries for name in entry.numbers))
    data = {
        "columns": ["mask", "reference", *columns],
        "numbers": numbers,
        "legend": [{"id": label, "name": class_name(label), "colour": _colour(label)} for label in classes],
        "rows": rows,
    }
    page = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    # "</" would end the script that holds the data, wherever in a name it stood.
    page = page.replace("@TITLE@", html.escape(title)).replace("@DATA@", json.dumps(data).replace("</", "<\\/"))
    return page, missing


def _describe(entry: Entry, model: ModelConfig, folder: Path) -> tuple[dict[str, Any], list[str]]:
    faults = []
    pictures: list[str] = [""]
    links: list[str | None] = [None]
    classes: list[int] = []
    try:
        labels = read_mask(entry.mask, model)
        pictures, classes = [mask_thumbnail(labels)], [int(label) for label in np.unique(labels)]
    except BadImage as error:
        faults.append(str(error))
    for path in (entry.reference, *entry.results):
        try:
            pictures.append(thumbnail(read_photo(path)))
            links.append(os.path.relpath(path, folder))
        except BadImage as error:
            faults.append(str(error))
            pictures.append("")
            links.append(None)
    values = {
        "name": entry.name,
        "pictures": pictures,
        "links": links,
        "classes": classes,
        "numbers": [None if value is None else round(value, 4) for value in entry.numbers.values()],
    }
    return values, faults


def thumbnail(picture: np.ndarray) -> str:
    """A small copy as a data: URL, of an (H, W, 3) uint8 picture."""
    image = Image.fromarray(picture)
    image.thumbnail(_THUMBNAIL, Image.Resampling.LANCZOS)
    return _embedded(image, "JPEG", quality=_QUALITY)


def mask_thumbnail(labels: np.ndarray) -> str:
    """The same of a mask, (H, W) uint8, in the classes' colours."""
    image = Image.fromarray(colourise(labels))
    image.thumbnail(_THUMBNAIL, Image.Resampling.NEAREST)  # no colours in between
    return _embedded(image.quantize(), "PNG")


def _embedded(image: Image.Image, form: str, **options: Any) -> str:
    buffer = io.BytesIO()
    image.save(buffer, form, optimize=True, **options)
    return f"data:image/{form.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _colour(label: int) -> str:
    red, green, blue = colourise(np.array([[label]], np.uint8))[0, 0]
    return f"#{red:02x}{green:02x}{blue:02x}"
