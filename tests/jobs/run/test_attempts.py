"""Attempts are numbered once each, and only the newest may write."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from jobs.run import attempts
from jobs.run.state import State


def test_each_start_has_a_number_of_its_own(tmp_path: Path) -> None:
    first = attempts.begin(tmp_path / "attempts", "training", job="7")
    assert first.number == 1 and first.is_newest and first.details.job == "7"
    second = attempts.begin(tmp_path / "attempts", "training")
    other = attempts.begin(tmp_path / "attempts", "shard-3")
    assert (second.number, other.number) == (2, 1)
    assert not first.is_newest and second.is_newest and other.is_newest
    second.note(outcome=State.DONE)
    assert second.details.outcome is State.DONE
    assert [each.name for each in attempts.every(tmp_path / "attempts")] == [
        "shard-3-0001",
        "training-0001",
        "training-0002",
    ]
    assert [each.number for each in attempts.every(tmp_path / "attempts", "training")] == [1, 2]


def begin(folder: Path) -> int:
    return attempts.begin(folder, "training").number


def test_many_that_start_at_once(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        numbers = pool.map(begin, [tmp_path] * 40)
    assert sorted(numbers) == list(range(1, 41))


def test_an_older_attempt_must_not_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    attempts.insist_on_newest()  # without attempts, as under a launcher on this machine
    first = attempts.begin(tmp_path, "shard-12")
    monkeypatch.setenv(attempts.VARIABLE, str(first.path))
    assert attempts.current() == first
    attempts.insist_on_newest()
    attempts.begin(tmp_path, "shard-12")
    with pytest.raises(attempts.Superseded, match="shard-12-0001"):
        attempts.insist_on_newest()
