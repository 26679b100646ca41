"""failures.jsonl: one form for all runs, read whatever has become of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ecgan.errors import UserError
from jobs.run import failures
from jobs.run.failures import Failure

FAILURES = (Failure(name="m1", reason="bad", mask="m1.png", reference="r.jpg"), Failure(name=None, reason="odd"))


def test_what_is_written_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "failures.jsonl"
    assert failures.read(path) == ([], 0)
    failures.write(path, FAILURES)
    later = Failure(name="p3", reason="GAN is nan", step=7)
    failures.append(path, later)
    assert failures.read(path) == ([*FAILURES, later], 0)
    assert json.loads(path.read_text().splitlines()[0]) == {
        "name": "m1",
        "reason": "bad",
        "mask": "m1.png",
        "reference": "r.jpg",
    }


@pytest.mark.parametrize("line", [b"{", b"[1]", b"7", b'{"name": "x"}', b'{"reason": 5}', b"\xff\xfe", b"[" * 100_000])
def test_damaged_lines_are_counted_and_the_others_read(tmp_path: Path, line: bytes) -> None:
    path = tmp_path / "failures.jsonl"
    failures.write(path, FAILURES)
    path.write_bytes(line + b"\n" + path.read_bytes())
    assert failures.read(path) == (list(FAILURES), 1)


def test_a_folder_in_its_place_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=str(tmp_path)):
        failures.read(tmp_path)
