"""The run's record: what is told changes, what is not stays, and who must not write does not."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from jobs.run import attempts, record
from jobs.run.attempts import MERGE, Superseded
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.record import RunRecord
from jobs.run.state import State

SCORING, TRAINING = Kind.SCORING, Kind.TRAINING


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "results.score")
    run.create()
    return run


def test_what_is_not_told_stays(run: RunDir) -> None:
    record.begin(run, SCORING, State.SUBMITTED, total=1000, done=400, before=400)
    record.update(run, State.FAILED, error="not submitted: no such partition")
    told = record.read(run)
    assert (told.kind, told.state, told.total, told.done, told.before) == (SCORING, State.FAILED, 1000, 400, 400)
    assert told.error == "not submitted: no such partition" and told.unit == "picture"
    record.update(run, done=500)
    told = record.read(run)
    assert (told.state, told.done, told.total) == (State.FAILED, 500, 1000)


def test_what_is_forgotten_is_gone(run: RunDir) -> None:
    record.begin(run, TRAINING, State.RUNNING, done=3, warning="no room", hosts=("n1", "n2"))
    record.update(run, warning=None)
    told = record.update(run)
    assert record.read(run) == told and told.warning is None
    assert record.read(run).hosts == ("n1", "n2")
    record.begin(run, TRAINING, State.STARTING)
    told = record.read(run)
    assert (told.done, told.hosts, told.unit) == (None, (), "step")


def test_the_file_has_what_was_told_alone(run: RunDir) -> None:
    record.begin(run, TRAINING, State.RUNNING, done=3, total=9, losses={"GAN": 0.5}, hosts=("n1",), epoch=1)
    values = json.loads(run.status.read_text())
    assert values.pop("updated")
    assert values == {
        "kind": "training",
        "state": "running",
        "done": 3,
        "total": 9,
        "losses": {"GAN": 0.5},
        "hosts": ["n1"],
        "epoch": 1,
    }


def test_files_of_before_there_were_records(run: RunDir) -> None:
    run.status.write_text('{"state": "done", "updated": "2026-11-20T10:00:00+00:00", "total": 3, "done": 3}')
    told = record.read(run)
    assert told == RunRecord(
        kind=Kind.GENERATION, state=State.DONE, total=3, done=3, updated="2026-11-20T10:00:00+00:00"
    )
    former = {"done": 16, "step": 2, "last_state": "states/step-2", "warning": None, "later": [1]}  # 16 pictures
    run.status.write_text(json.dumps({"state": "running", "kind": "training"} | former))
    told = record.read(run)
    assert (told.kind, told.done, told.last_checkpoint) == ("training", 2, "states/step-2")
    assert (told.warning, told.hosts) == (None, ())
    assert record.update(run) == record.read(run) == dataclasses.replace(told, updated=record.read(run).updated)


def test_nothing_said_yet(run: RunDir) -> None:
    assert record.read(run) == RunRecord(kind=Kind.GENERATION, state=State.PLANNED)
    run.states.mkdir()
    assert record.read(run).kind == TRAINING
    record.update(run, State.FAILED, error="no room")
    assert (record.read(run).kind, record.read(run).state) == (TRAINING, State.FAILED)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": "unheard of"}', '{"state": 3}', "\xff"])
def test_what_can_not_be_understood(run: RunDir, text: str) -> None:
    run.status.write_text(text, encoding="latin-1")
    told = record.read(run)
    assert told.state is State.UNREADABLE and str(run.status) in (told.error or "")
    record.update(run, State.DONE, total=3)
    assert (record.read(run).state, record.read(run).error) == (State.DONE, None)


def test_a_misspelt_name_is_an_error(run: RunDir) -> None:
    record.begin(run, SCORING, State.RUNNING)
    with pytest.raises(TypeError):
        record.update(run, totl=3)


@pytest.mark.process
def test_a_full_disk_stops_nobody(run: RunDir) -> None:
    """Files may not grow (the system's limit for a process stands in for the disk's)."""
    program = (
        "import resource, sys; from pathlib import Path; from jobs.run import record\n"
        "from jobs.run.folder import RunDir; from jobs.run.state import State; run = RunDir(Path(sys.argv[1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))\n"
        "record.begin(run, 'scoring', State.RUNNING, total=9); record.update(run, State.DONE, done=9)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))\n"
        "record.update(run, failed=1)\n"
    )
    record.begin(run, SCORING, State.STOPPED, total=9, done=4)
    result = subprocess.run([sys.executable, "-c", program, str(run.path)], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    told = record.read(run)
    assert (told.state, told.done, told.failed) == (State.STOPPED, 4, 1)
    assert [path.name for path in run.path.iterdir() if path.name.endswith(".part")] == []


def test_an_older_attempt_can_not_write(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    record.begin(run, SCORING, State.SUBMITTED, total=9)
    first = attempts.begin(run.attempts, MERGE)
    monkeypatch.setenv(attempts.VARIABLE, str(first.path))
    record.update(run, done=3)
    attempts.begin(run.attempts, MERGE)
    with pytest.raises(Superseded):
        record.update(run, State.DONE)
    with pytest.raises(Superseded):
        record.begin(run, SCORING, State.STARTING)
    assert (record.read(run).state, record.read(run).done) == (State.SUBMITTED, 3)
