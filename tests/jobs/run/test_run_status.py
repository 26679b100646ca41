"""How a run stands, read from real files, with the lock held by a real process or by none."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, wait_until

from ecgan.errors import UserError
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.progress import Progress
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.words import describe

HOLD = (
    "import sys; from pathlib import Path; from jobs.run import lock; from jobs.run.folder import RunDir\n"
    "lock.take(RunDir(Path(sys.argv[1]))); print('held', flush=True); sys.stdin.read()\n"
)
TRAINING: dict[str, Any] = {
    "kind": "training",
    "total": 5000,
    "epoch": 3,
    "epochs": 20,
    "done": 1200,
    "images_per_second": 4.125,
    "eta_seconds": 4350.0,
    "losses": {"GAN": 0.5, "VGG": 8.25},
    "ranks": 4,
    "device": "cuda",
    "hosts": ("node1", "node2"),
}


def write(run: RunDir, state: str, kind: str = "generation", **known: Any) -> None:
    record.begin(run, Kind(kind), State(state), **known)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "runs" / "ecgan")
    run.create(run.states)
    return run


def hold(run: RunDir) -> subprocess.Popen[str]:
    """A process that holds the run until its input is closed or it is killed."""
    command = [sys.executable, "-c", HOLD, str(run.path)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


@pytest.fixture
def holder(run: RunDir) -> Iterator[subprocess.Popen[str]]:
    child = hold(run)
    yield child
    child.kill()
    child.communicate()


def test_running_training(run: RunDir, holder: subprocess.Popen[str]) -> None:
    saved = run.states / "step-00001000"
    saved.mkdir()
    write(run, "running", **TRAINING, last_checkpoint=str(saved))
    status = read_status(run.path)
    assert (status.kind, status.state, status.is_over) == ("training", "running", False)
    assert (status.done, status.total, status.epoch, status.hosts) == (1200, 5000, 3, ("node1", "node2"))
    head, *lines = describe(status)
    assert head == f"{run.path}: training, running"
    assert "  steps     1200 of 5000 (24 %), epoch 3 of 20" in lines
    assert "  speed     4.12 pictures/s, about 1 h 12 min to go" in lines
    assert "  losses    GAN 0.5  VGG 8.25" in lines
    assert "  on        node1, node2 (4 ranks, cuda)" in lines
    assert any(line.startswith("  saved     states/step-00001000, ") for line in lines)
    assert not any("error" in line for line in lines)


def test_looking_lets_go_of_the_lock(run: RunDir) -> None:
    write(run, "running", **TRAINING)
    (run.path / "lock").touch()
    assert read_status(run.path).state == "died"
    child = hold(run)  # it would not get it, had we kept it
    assert read_status(run.path).state == "running"
    child.kill()
    child.communicate()


def test_killed_run_is_reported_dead(run: RunDir, holder: subprocess.Popen[str]) -> None:
    write(run, "running", **TRAINING)
    assert read_status(run.path).state == "running"
    holder.kill()
    holder.wait()
    wait_until(lambda: read_status(run.path).state == "died")
    status = read_status(run.path)
    assert status.is_over
    head, *lines = describe(status)
    assert head.endswith("training, died: no process holds it; run the same command again to go on")
    assert not any(line.startswith("  speed") for line in lines)


def test_run_that_begins_again_is_starting(run: RunDir, holder: subprocess.Popen[str]) -> None:
    write(run, "stopped", **TRAINING)
    assert read_status(run.path).state == "starting"
    write(run, "done", **TRAINING)
    assert read_status(run.path).state == "done"
    holder.kill()
    holder.wait()
    write(run, "stopped", **TRAINING)
    wait_until(lambda: read_status(run.path).state == "stopped")
    assert "run the same command again" in describe(read_status(run.path))[0]


def test_run_without_a_word_yet(run: RunDir) -> None:
    run.plan.write_text("{}")
    assert (read_status(run.path).state, read_status(run.path).kind) == ("planned", "training")
    assert describe(read_status(run.path)) == [f"{run.path}: training, not begun"]
    child = hold(run)
    assert read_status(run.path).state == "starting"
    child.kill()
    child.communicate()
    wait_until(lambda: read_status(run.path).state == "died")


def test_run_on_another_machine_is_not_declared_dead_at_once(run: RunDir) -> None:
    write(run, "running", **TRAINING)
    (run.path / "lock").write_text(json.dumps({"pid": 1, "host": "elsewhere", "since": "…"}))
    assert read_status(run.path).state == "running"
    later = datetime.now(timezone.utc) + timedelta(hours=1)
    status = read_status(run.path, later)
    assert status.state == "silent" and not status.is_over
    assert any(line.startswith("  updated   1 h") for line in describe(status, later))


def test_failure_names_its_log(run: RunDir) -> None:
    write(run, "failed", **TRAINING, error="GAN is nan", log=str(run.logs / "rank-0.log"))
    lines = describe(read_status(run.path))
    assert "  error     GAN is nan" in lines and f"  log       {run.logs / 'rank-0.log'}" in lines
    (run.logs / "train.log").write_text("…")
    write(run, "failed", **TRAINING, error="GAN is nan")
    assert f"  log       {run.logs}" in describe(read_status(run.path))


def test_warning_and_state_that_is_gone(run: RunDir) -> None:
    write(run, "done", **TRAINING, warning="could not be saved", last_checkpoint=str(run.states / "step-1"))
    lines = describe(read_status(run.path))
    assert "  warning   could not be saved" in lines
    assert "  saved     states/step-1, which is no longer there" in lines


def generation(path: Path) -> RunDir:
    run = RunDir(path)
    run.create(run.shards, run.images)
    for number in (0, 1, 10):
        progress = Progress(run.shards, number, 50)
        progress.count(done=20, failed=number)
        progress.enter(State.RUNNING if number else State.DONE)
    return run


def test_generation_has_a_line_for_each_shard(tmp_path: Path) -> None:
    run = generation(tmp_path / "results.run")
    for path in run.shards.iterdir():  # begun 30 seconds ago
        entry = json.loads(path.read_text())
        begun = datetime.fromisoformat(entry["updated"]) - timedelta(seconds=30)
        path.write_text(json.dumps(entry | {"started": begun.isoformat()}))
    write(run, "running", total=150, done=60, failed=11)
    child = hold(run)
    status = read_status(run.path)
    assert (status.kind, status.state, status.done, status.failed) == ("generation", "running", 60, 11)
    assert [shard.number for shard in status.shards] == [0, 1, 10]
    assert status.images_per_second == pytest.approx(2, rel=0.1)
    assert status.eta_seconds == pytest.approx(39.5, rel=0.1)
    lines = describe(status)
    host = status.hosts[0]
    assert "  pictures  60 of 150 (40 %), 11 failed" in lines
    assert "  shard 0   done      20 of 50" in lines
    assert f"  shard 10  running   20 of 50, 10 failed on {host}" in lines
    child.kill()
    child.communicate()
    wait_until(lambda: read_status(run.path).state == "died")
    assert "  shard 1   cut off   20 of 50, 1 failed" in describe(read_status(run.path))


def test_generation_says_what_failed(tmp_path: Path) -> None:
    run = generation(tmp_path / "results.run")
    write(run, "incomplete", total=150, missing=2, failed=2)
    run.failures.write_text('{"name": "a", "reason": "no"}\n{"name": "b", "reason": "unreadable"}\n')
    (run.logs / "worker-0.log").touch()
    lines = describe(read_status(run.path))
    assert "  pictures  0 of 150 (0 %), 2 failed, 2 missing" in lines
    assert f"  error     b: unreadable (2 such in {run.failures})" in lines and f"  log       {run.logs}" in lines
    Progress(run.shards, 1, 50).enter(State.FAILED, "no space left")
    assert "  error     shard 1: no space left" in describe(read_status(run.path))


@pytest.mark.parametrize("text", ["", "{", "[1, 2]", "3", '"x"', "\xff"])
def test_broken_status_is_said(run: RunDir, text: str) -> None:
    run.status.write_text(text, encoding="latin-1")
    status = read_status(run.path)
    assert status.state == "unreadable" and status.is_over and str(run.status) in (status.error or "")


def test_values_of_wrong_types_are_left_out(run: RunDir) -> None:
    odd = dict.fromkeys(TRAINING, "odd") | {"kind": "training", "losses": {"GAN": math.nan, "VGG": math.inf}}
    run.status.write_text(json.dumps(odd | {"state": "done", "last_checkpoint": 7}))
    status = read_status(run.path)
    assert status.total is None and status.last_checkpoint is None and status.images_per_second is None
    assert describe(status)
    assert json.loads(json.dumps(status.to_json(), allow_nan=False))["losses"] == {
        "GAN": "NaN",
        "VGG": "Infinity",
    }


def test_a_folder_that_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=re.escape(str(tmp_path))):
        read_status(tmp_path)
