"""How a run on a cluster stands, from its files alone."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from jobs.run import attempts, record
from jobs.run.attempts import MERGE, TRAINING, shard_unit
from jobs.run.clock import now
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import Status, read_status
from jobs.run.submission import Submission, SubmittedJob
from jobs.run.words import describe


class Run:
    """The files of a run of two shards that was submitted as jobs 10 (array) and 11, or of a training, job 10."""

    def __init__(self, path: Path, training: bool = False) -> None:
        self.dir = RunDir(path)
        self.dir.create(*([self.dir.states] if training else [self.dir.shards]))
        sharded = SubmittedJob("10", "shards", 2), SubmittedJob("11", "merge")
        self.submission = Submission((SubmittedJob("10", "training"),) if training else sharded)
        self.submission.save(self.dir.submission)
        kind = Kind.TRAINING if training else Kind.GENERATION
        record.begin(
            self.dir, kind, State.SUBMITTED, total=10, **({"done": 0} if training else {"done": 2, "before": 2})
        )

    def attempt(self, unit: str, job: str, **details: Any) -> attempts.Attempt:
        return attempts.begin(self.dir.attempts, unit, job=job, log=f"/logs/{unit}", **details)

    def shard(self, number: int, done: int, state: str = "running", ago: float = 0) -> None:
        updated = (datetime.now(timezone.utc) - timedelta(seconds=ago)).isoformat(timespec="seconds")
        entry = {"state": state, "done": done, "failed": 0, "total": 4, "host": "n1", "updated": updated}
        (self.dir.shards / f"{number}.json").write_text(json.dumps(entry | {"started": updated}))

    def status(self, later: float = 0) -> Status:
        return read_status(self.dir.path, datetime.now(timezone.utc) + timedelta(seconds=later))


@pytest.fixture
def generation(tmp_path: Path) -> Run:
    return Run(tmp_path / "results.run")


@pytest.fixture
def training(tmp_path: Path) -> Run:
    return Run(tmp_path / "run", training=True)


def test_a_generation_from_submission_to_the_end(generation: Run) -> None:
    assert generation.status().state == "submitted" and not generation.status().is_over
    first = generation.attempt(shard_unit(0), "10_0")
    generation.shard(0, done=3)
    status = generation.status()
    assert (status.state, status.done, status.total, status.jobs) == ("running", 5, 10, ("10", "11"))
    first.note(outcome=State.REQUEUED)
    assert generation.status().state == "requeued"
    generation.attempt(shard_unit(0), "10_0").note(outcome=State.DONE)
    generation.shard(0, done=4, state="done")
    generation.attempt(shard_unit(1), "10_1").note(outcome=State.FAILED, message="no room")
    status = generation.status()
    assert [shard.requeues for shard in status.shards] == [1]
    assert status.error == "no room" and status.log == "/logs/shard-1"
    merging = generation.attempt(MERGE, "11")
    assert (generation.status().state, generation.status().done) == (State.MERGING, 6)
    merging.note(outcome=State.FAILED, message="no room")
    assert (generation.status().state, generation.status().done) == (State.FAILED, 6)
    record.update(generation.dir, State.INCOMPLETE, done=6)
    status = generation.status()
    assert (status.state, status.done, status.is_over) == ("incomplete", 6, True)
    assert any("no room" in line for line in describe(status))


def test_what_its_shards_have_made_counts_after_it_was_cancelled(generation: Run) -> None:
    generation.attempt(shard_unit(0), "10_0").note(outcome=State.STOPPED)
    generation.shard(0, done=3, state="stopped")
    Submission(generation.submission.jobs, cancelled=now()).save(generation.dir.submission)
    status = generation.status()
    assert (status.state, status.done, status.total) == (State.CANCELLED, 5, 10)


def test_long_work_is_not_silence(generation: Run) -> None:
    generation.attempt(shard_unit(0), "10_0")
    generation.shard(0, done=1, ago=-3600)  # its last word is an hour after all others
    assert generation.status(later=3600).state == "running"
    assert generation.status(later=2 * 3600).state == "silent"


def test_attempts_of_an_earlier_submission_do_not_count(training: Run) -> None:
    training.attempt(TRAINING, "3").note(outcome=State.FAILED, message="old")
    status = training.status()
    assert (status.state, status.error, status.requeues) == ("submitted", None, 0)


def test_a_training_that_is_requeued_and_fails(training: Run) -> None:
    first = training.attempt(TRAINING, "10")
    assert training.status().state == "starting"
    record.update(training.dir, State.RUNNING, done=4)
    assert (training.status().state, training.status().done) == ("running", 4)
    first.note(outcome=State.STOPPED, signal="SIGTERM")
    assert training.status().state == "stopped"
    training.attempt(TRAINING, "10").note(outcome=State.FAILED, message="rank 1 was killed")
    status = training.status()
    assert (status.state, status.requeues, status.error) == ("failed", 1, "rank 1 was killed")


def test_cancelled_unless_it_was_done_before(training: Run) -> None:
    training.attempt(TRAINING, "10").note(outcome=State.STOPPED)
    Submission(training.submission.jobs, cancelled=now()).save(training.dir.submission)
    assert training.status().state == "cancelled" and training.status().is_over
    record.update(training.dir, State.DONE, done=10)
    assert training.status().state == "done"


@pytest.mark.parametrize("is_training, unit", [(True, TRAINING), (False, shard_unit(0))])
def test_what_a_run_says_stands_while_its_job_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_training: bool, unit: str
) -> None:
    """Whatever the state, if its line says so: nothing else needs to know it."""
    run = Run(tmp_path / "run", is_training)
    attempt = run.attempt(unit, "10")
    record.update(run.dir, State.STOPPING)
    seen = run.status().state
    monkeypatch.setitem(vars(State.STOPPING), "is_own", True)
    assert (seen, run.status().state) == (State.STARTING if is_training else State.RUNNING, State.STOPPING)
    attempt.note(outcome=State.REQUEUED)
    assert run.status().state is State.REQUEUED
