"""Records in JSON: what is written comes back as it was, and nothing else is taken for it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest

from ecgan.errors import UserError
from ecgan.files import read_json, write_json


@dataclass(frozen=True)
class Inner:
    name: str
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Outer:
    inner: tuple[Inner, ...]
    path: Path
    state: Literal["new", "done"]
    rate: float = 1.0


RECORD = Outer((Inner("a", (1, 2)), Inner("b")), Path("x/y"), "done", 2)


def save(file: Path, **changes: Any) -> Path:
    write_json(file, dataclasses.asdict(RECORD) | {"path": str(RECORD.path)} | changes)
    return file


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    assert read_json(save(tmp_path / "r.json", later="a field of a newer version"), Outer, "a record") == RECORD


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"state": "old"}, r"\$\.state"),
        ({"inner": [{}]}, r"name.*\$\.inner\[0\]"),
        ({"rate": "fast"}, r"\$\.rate"),
        ({"path": 7}, "path"),
    ],
)
def test_anything_else_is_refused_and_named(tmp_path: Path, changes: dict[str, Any], told: str) -> None:
    path = save(tmp_path / "r.json", **changes)
    with pytest.raises(UserError, match=rf"r\.json is not a record that this version can read.*{told}"):
        read_json(path, Outer, "a record")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", json.dumps("x").encode()])
def test_what_is_no_record_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(UserError, match="is not a record"):
        read_json(tmp_path / "r.json", Outer, "a record")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "r.json", Outer, "a record")
