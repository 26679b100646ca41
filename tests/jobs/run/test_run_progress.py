"""Progress files: written by a shard's threads, read by whoever looks."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from jobs.run import progress
from jobs.run.progress import Progress, Shard, read_shards
from jobs.run.state import State


def test_a_shard_from_start_to_end(tmp_path: Path) -> None:
    shard = Progress(tmp_path, 3, total=10)
    [told] = read_shards(tmp_path)
    assert (told.number, told.state, told.done, told.total) == (3, State.STARTING, 0, 10)
    assert told.host and told.started and told.updated
    shard.start_from(4)
    assert not shard.has_moved
    shard.enter(State.RUNNING)
    shard.count(done=1)
    shard.count(failed=1)
    assert shard.has_moved
    shard.enter(State.FAILED, "no room")
    [told] = read_shards(tmp_path)
    assert (told.state, told.done, told.failed, told.error) == (State.FAILED, 5, 1, "no room")
    assert set(json.loads((tmp_path / "3.json").read_text())) == {
        *("state", "done", "failed", "total", "started", "pid", "host", "error", "updated")
    }


def test_threads_that_count_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_INTERVAL", 0.01)
    shard = Progress(tmp_path, 0, total=4000)

    def count(**what: int) -> None:
        for _ in range(1000):
            shard.count(**what)

    threads = [threading.Thread(target=count, kwargs={what: 1}) for what in ("done", "failed") * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    shard.enter(State.DONE)
    [told] = read_shards(tmp_path)
    assert (told.done, told.failed) == (2000, 2000)


def test_what_is_no_progress_is_passed_over(tmp_path: Path) -> None:
    for number in (10, 9):
        Progress(tmp_path, number, total=1)
    (tmp_path / "11.json").write_text("{")
    (tmp_path / "notes.json").write_text("{}")
    (tmp_path / "12.json").write_text('{"state": "of tomorrow", "done": "three", "total": 4}')
    assert [shard.number for shard in read_shards(tmp_path)] == [9, 10, 12]
    assert read_shards(tmp_path)[-1] == Shard(number=12, state=State.UNREADABLE, total=4)
    assert read_shards(tmp_path / "no such folder") == []
