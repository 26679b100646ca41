"""Reading what somebody else has written, within bounds."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT

from ecgan.files import read_bytes, read_json, read_text, sha256_of


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"a":' * 100_000,
        "[" * 33 + "]" * 33,
        '["[", ' + "[" * 33,
        '"\\"' * 100_000 + "[" * 100_000,
        "[" + "1" * 100_000 + "]",
        "{",
        "",
        "nothing",
        '{"a": 1} {"b": 2}',
    ],
)
def test_json_that_can_not_be_used_is_a_value_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(ValueError, match="."):
        read_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    "value", [{"a": ["[" * 100, '\\"]', {"b": [None, 1.5, True]}]}, "ü", [], json.loads("[" * 32 + "]" * 32)]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_is_read_as_it_was_written(tmp_path: Path, value: object, mark: str) -> None:
    (tmp_path / "x.json").write_text(mark + json.dumps(value, ensure_ascii=False), encoding="utf-8")
    assert read_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("read", [read_bytes, read_text, read_json])
def test_no_more_is_read_than_is_allowed(tmp_path: Path, read: Callable[..., object]) -> None:
    (tmp_path / "x").write_text("[123]")
    assert read(tmp_path / "x", 5)
    with pytest.raises(OSError, match="5 bytes; at most 4"):
        read(tmp_path / "x", 4)
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 40)  # a disk full, of which nothing is stored
    with pytest.raises(OSError, match="at most"):
        read(tmp_path / "x")


def test_other_encodings_are_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("ü".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8: .* at byte 0"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="not a name"):
        read_bytes(tmp_path / name)


def test_digests_wait_for_no_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = (
        f"from pathlib import Path; from ecgan.files import sha256_of; sha256_of(Path({str(tmp_path / 'pipe')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "a FIFO, not a file" in done.stderr
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x").startswith("ba7816bf")
