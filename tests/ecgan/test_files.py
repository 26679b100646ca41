"""Reading what somebody else has written, within bounds; records in JSON: what is written comes back as it was."""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import pytest
from conftest import ROOT

from ecgan.errors import UserError
from ecgan.files import (
    clear_leftovers,
    read_any_json,
    read_bytes,
    read_json,
    read_text,
    sha256_of,
    write_json,
)
from ecgan.lines import append_line, read_lines


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


def test_a_line_that_a_kill_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    append_line(file, {"name": "ü"})
    whole = file.read_bytes()
    file.write_bytes(whole + b'{"name": "b')
    append_line(file, {"name": "c"})
    append_line(file, {"name": "d"})
    assert file.read_bytes() == whole + b'{"name": "b\n{"name": "c"}\n{"name": "d"}\n'


def test_lines_are_read_whatever_has_become_of_some(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    file.write_bytes(b'{"a": 1}\n\n \n[1]\n7\n\xff\n' + b'{"a":' * 100_000 + b'\n{"a": "\xff"}\r\n{"a": 2')
    found = list(read_lines(file))
    assert [entry for _, entry in found] == [{"a": 1}, None, None, None, None, {"a": "\ufffd"}, None]
    assert (found[0][0], found[-1][0]) == ('{"a": 1}', '{"a": 2')
    with pytest.raises(FileNotFoundError):
        list(read_lines(tmp_path / "none"))


def test_a_line_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    file = tmp_path / "lines.jsonl"
    append_line(file, [1])
    with pytest.raises(ValueError):
        append_line(file, float("nan"))
    room = file.stat().st_size + 10
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (room, limits[1]))
    try:
        with pytest.raises(OSError):
            append_line(file, "longer than what there is room for")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, before)
    append_line(file, [2])
    assert file.read_text() == "[1]\n[2]\n"


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
    with pytest.raises(UserError, match=rf"r\.json .*{told}"):
        read_json(path, Outer, "a record")


@pytest.mark.parametrize("content", [b"", b"[]", b"\xff", b"[" * 100_000, json.dumps("x").encode()])
def test_what_is_no_record_at_all(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r.json").write_bytes(content)
    with pytest.raises(UserError, match="is not a record"):
        read_json(tmp_path / "r.json", Outer, "a record")


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_json(tmp_path / "r.json", Outer, "a record")


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
        read_any_json(tmp_path / "x.json")


@pytest.mark.parametrize(
    "value", [{"a": ["[" * 100, '\\"]', {"b": [None, 1.5, True]}]}, "ü", [], json.loads("[" * 32 + "]" * 32)]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_json_is_read_as_it_was_written(tmp_path: Path, value: object, mark: str) -> None:
    (tmp_path / "x.json").write_text(mark + json.dumps(value, ensure_ascii=False), encoding="utf-8")
    assert read_any_json(tmp_path / "x.json") == value


@pytest.mark.parametrize("read", [read_bytes, read_text])
def test_no_more_is_read_than_is_allowed(tmp_path: Path, read: Callable[..., object]) -> None:
    (tmp_path / "x").write_text("[123]")
    assert read(tmp_path / "x", 5)
    with pytest.raises(OSError, match="5 bytes; at most 4"):
        read(tmp_path / "x", 4)
    with open(tmp_path / "x", "wb") as file:
        file.truncate(1 << 40)  # a disk full, of which nothing is stored
    for reading in (read, read_any_json):
        with pytest.raises(OSError, match="at most"):
            reading(tmp_path / "x")


def test_other_encodings_are_told(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes("ü".encode("latin-1"))
    with pytest.raises(ValueError, match="not UTF-8: .* at byte 0"):
        read_text(tmp_path / "x")


@pytest.mark.parametrize("name", ["a\0b", "a\ud800b"])
def test_names_that_no_file_can_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(OSError, match="not a name"):
        read_bytes(tmp_path / name)


@pytest.mark.process
def test_digests_wait_for_no_fifo(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    program = (
        f"from pathlib import Path; from ecgan.files import sha256_of; sha256_of(Path({str(tmp_path / 'pipe')!r}))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "a FIFO, not a file" in done.stderr
    (tmp_path / "x").write_bytes(b"abc")
    assert sha256_of(tmp_path / "x").startswith("ba7816bf")


def test_what_a_kill_leaves_is_cleared_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    orphan, folder, mine = tmp_path / ".0123456789abcdef.part", tmp_path / ".out.0123abcd.part", tmp_path / ".mine.part"
    for path in (orphan, mine):
        path.touch()
    folder.mkdir()
    (folder / "G.safetensors").touch()
    write = "import sys, time; from ecgan.files import _hold; file = open(sys.argv[1], 'wb'); "
    write += "_hold(file.fileno()); print('held', flush=True); time.sleep(600)"
    living = tmp_path / ".fedcba9876543210.part"
    writer = subprocess.Popen([sys.executable, "-c", write, living], cwd=ROOT, stdout=subprocess.PIPE)
    assert writer.stdout is not None and writer.stdout.readline() == b"held\n"
    clear_leftovers(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, living.name}
    writer.kill()
    writer.communicate()
    clear_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [mine]
