"""The gallery's page: everything in one file, whatever the names are and whatever is missing."""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
from conftest import draw_mask, draw_photo
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.palette import COLOURS
from jobs.results.gallery.page import Entry, gallery

SIZE = (64, 48)


def entries(folder: Path, count: int = 3) -> list[Entry]:
    made = []
    for number in range(count):
        paths = [folder / f"{kind} {number}.jpg" for kind in ("reference", "a", "b")]
        for path in paths:
            Image.fromarray(draw_photo(number, SIZE)).save(path)
        mask = folder / f"mask {number}.png"
        Image.fromarray(draw_mask(number, SIZE)).save(mask)
        numbers = {"style": 0.123456 * number, "mask accuracy": None if number == 2 else 0.5}
        made.append(Entry(f"test {number} </script>", mask, paths[0], paths[1:], numbers))
    return made


def data_of(page: str) -> Any:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)
    assert match
    return json.loads(match[1])


def decoded(url: str) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).convert("RGB"))


def test_all_is_in_the_page(tmp_path: Path) -> None:
    shown = entries(tmp_path)
    counted: list[None] = []
    page, missing = gallery("Mine & yours", ["a", "b"], shown, ModelConfig(), tmp_path, lambda: counted.append(None))
    assert not missing
    assert "<title>Mine &amp; yours</title>" in page and "http" not in page.replace("http-equiv", "")
    data = data_of(page)
    assert data["columns"] == ["mask", "reference", "a", "b"] and data["numbers"] == ["style", "mask accuracy"]
    assert [row["name"] for row in data["rows"]] == [entry.name for entry in shown] and len(counted) == 3
    assert [row["numbers"] for row in data["rows"]] == [[0.0, 0.5], [0.1235, 0.5], [0.2469, None]]
    row = data["rows"][1]
    assert row["links"] == [None, "reference 1.jpg", "a 1.jpg", "b 1.jpg"]
    assert row["classes"] == sorted({*draw_mask(1, SIZE).ravel()})
    mask, *photos = (decoded(picture) for picture in row["pictures"])
    assert {tuple(colour) for colour in mask.reshape(-1, 3)} == {tuple(COLOURS[label]) for label in row["classes"]}
    assert all(np.abs(photo.astype(int) - draw_photo(1, SIZE)).mean() < 12 for photo in photos)
    assert {each["id"] for each in data["legend"]} == {label for row in data["rows"] for label in row["classes"]}


def test_what_is_missing_or_broken_is_shown_as_such(tmp_path: Path) -> None:
    shown = entries(tmp_path, 1)
    shown[0].reference.unlink()
    shown[0].results[0].write_bytes(b"no picture")
    shown[0].mask.write_bytes(b"no mask")
    page, missing = gallery("t", ["a", "b"], shown, ModelConfig(), tmp_path)
    assert [name in reason for name, reason in zip(["mask 0", "reference 0", "a 0"], missing, strict=True)] == [
        True
    ] * 3
    (row,) = data_of(page)["rows"]
    assert row["pictures"][:3] == [""] * 3 and row["classes"] == [] and row["links"] == [None, None, None, "b 0.jpg"]
    assert row["pictures"][3].startswith("data:image/jpeg;base64,")
