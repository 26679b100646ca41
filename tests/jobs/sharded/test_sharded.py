"""What every kind of sharded work shares: numbering, a shard's course, its end, the report of faults."""

from __future__ import annotations

import errno
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from ecgan.data.faults import Fault
from ecgan.errors import UserError
from jobs import faults, stop
from jobs.run import attempts
from jobs.run.folder import RunDir
from jobs.run.progress import Progress, read_shards
from jobs.run.state import State
from jobs.sharded import numbering
from jobs.sharded.finish import Finish, FinishJob
from jobs.sharded.shard import ShardJob, Share


@pytest.mark.parametrize("count, shards", [(1000, 8), (7, 3), (3, 8), (1, 1), (10, 10)])
def test_shards_are_even_contiguous_and_complete(count: int, shards: int) -> None:
    numbers = numbering.numbered([True] * count, shards)
    sizes = Counter(numbers)
    assert set(sizes) == set(range(min(shards, count))) and numbering.count(numbers) == len(sizes)
    assert max(sizes.values()) - min(sizes.values()) <= 1
    assert numbers == sorted(number or 0 for number in numbers)


def test_what_is_not_to_be_made_has_no_shard() -> None:
    assert numbering.numbered([False, True, False, False, True], 8) == [None, 0, None, None, 1]
    assert numbering.numbered([False], 4) == [None] and numbering.count([None]) == numbering.count([]) == 0


class Letters(Share[str]):
    """Writes a file for each letter; `raises` comes instead of the letter c."""

    kept = "letters are kept"
    raises: Exception | None = None

    def __init__(self, run: RunDir, number: int) -> None:
        self.items = "abcd"
        self._folder = run.path

    def left(self) -> list[str]:
        return [letter for letter in self.items if not (self._folder / letter).exists()]

    def load(self) -> None:
        pass

    def make(self, items: Sequence[str], progress: Progress) -> bool:
        for letter in items:
            if letter == "c" and self.raises is not None:
                raise self.raises
            if stop.requested():
                return False
            (self._folder / letter).touch()
            progress.count(done=1)
        return True


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run")
    run.create(run.shards)
    return run


def test_a_shard_goes_on_where_it_ended(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    job = ShardJob(run.path, 3, Letters)
    monkeypatch.setattr(Letters, "raises", ValueError("no c"))
    with pytest.raises(ValueError, match="no c"):
        job()
    (shard,) = read_shards(run.shards)
    assert (shard.number, shard.state, shard.done, shard.total, shard.error) == (3, State.FAILED, 2, 4, "no c")
    monkeypatch.setattr(Letters, "raises", None)
    job()
    (shard,) = read_shards(run.shards)
    assert (shard.state, shard.done, shard.error) == (State.DONE, 4, None)


def test_a_shard_that_is_told_to_stop(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stop, "requested", lambda: (run.path / "b").exists())
    for progressed in (True, False):
        with pytest.raises(stop.Stopped) as stopped:
            ShardJob(run.path, 0, Letters)()
        (shard,) = read_shards(run.shards)
        assert stopped.value.progressed is progressed and (shard.state, shard.done) == (State.STOPPED, 2)


def test_a_full_disk_is_the_users_to_mend(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Letters, "raises", OSError(errno.ENOSPC, "No space left on device"))
    with pytest.raises(UserError, match=os.strerror(errno.ENOSPC)):
        ShardJob(run.path, 0, Letters)()


def test_an_older_attempt_leaves_the_newer_ones_progress_alone(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Letters, "raises", attempts.Superseded("later"))
    with pytest.raises(attempts.Superseded):
        ShardJob(run.path, 0, Letters)()
    assert [shard.state for shard in read_shards(run.shards)] == [State.RUNNING]


@dataclass(frozen=True)
class Lacking(Finish):
    count: int

    def __call__(self) -> int:
        return self.count

    def lack(self, count: int) -> str:
        return f"{count} letter(s) are missing"


def test_what_ends_it_fails_as_a_job_if_anything_is_missing(run: RunDir) -> None:
    FinishJob(Lacking(run.path, 0))()
    with pytest.raises(UserError, match="^2 letter"):
        FinishJob(Lacking(run.path, 2))()


def test_faults_are_reported_together() -> None:
    found = [Fault(f"m{i}", f"m{i}.png: broken") for i in range(43)]
    told = faults.report(found, "the input", "scored", "to score the other 4 pictures").splitlines()
    assert told[0] == "43 fault(s) in the input, nothing was scored:" and told[1] == "  m0.png: broken"
    assert told[-2:] == ["  … and 3 more", "Mend them, or --on_bad_input skip to score the other 4 pictures."]
    assert faults.report(found[:1], "the input", "scored").splitlines()[-1] == "  m0.png: broken"
