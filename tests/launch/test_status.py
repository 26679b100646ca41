"""`launch/status.py`, beside processes that hold runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, DataFolder, in_process

from jobs.run import record
from jobs.run.find import PLACES
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State

STATUS = ROOT / "launch" / "status.py"
HOLD = (
    "import sys; from pathlib import Path; from jobs.run import lock, record; from jobs.run.folder import RunDir\n"
    "from jobs.run.state import State; run = RunDir(Path(sys.argv[1])); lock.take(run)\n"
    "record.begin(run, 'training', State.RUNNING, done=1, total=9); print('held', flush=True); sys.stdin.read()\n"
    "record.update(run, State.DONE, done=9)\n"
)


def status(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    return in_process([sys.executable, STATUS, *options], folder)


def entries(folder: Path, *options: object) -> list[dict[str, Any]]:
    """What it says of each run."""
    result = status(folder, "--json", *options)
    assert result.returncode == 0, result.stderr
    return list(json.loads(result.stdout))


def made(path: Path, state: State = State.DONE) -> RunDir:
    run = RunDir(path)
    run.create()
    record.begin(run, Kind.TRAINING, state, done=5, total=10)
    return run


def hold(path: Path) -> subprocess.Popen[str]:
    """Holds the run and calls it running, until its input ends: then it is done."""
    command = [sys.executable, "-c", HOLD, str(path)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    return child


def watch(folder: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, str(STATUS), "--watch", *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )


@pytest.mark.process
def test_all_runs_of_a_folder(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    made(tmp_path / "runs" / "b", State.RUNNING)  # by nobody
    (tmp_path / "runs" / "b" / "lock").touch()
    made(tmp_path / "results.run", State.STOPPED)
    result = subprocess.run([sys.executable, STATUS], cwd=tmp_path, capture_output=True, text=True, timeout=600)
    assert result.returncode == 0 and not result.stderr
    heads = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads] == ["results.run", "runs/a", "runs/b"]
    assert [entry["state"] for entry in entries(tmp_path)] == ["stopped", "done", "died"]
    assert all((entry["done"], entry["total"]) == (5, 10) for entry in entries(tmp_path))


def test_nothing_here(tmp_path: Path) -> None:
    result = status(tmp_path)
    assert result.returncode == 0 and PLACES in result.stdout
    assert entries(tmp_path) == []


def test_runs_by_name(tmp_path: Path) -> None:
    run = made(tmp_path / "results.run")
    for given in ("results.run", "results", run.path):
        assert [Path(entry["path"]).name for entry in entries(tmp_path, given)] == ["results.run"]
    assert [entry["path"] for entry in entries(run.path)] == ["."]
    assert len(entries(tmp_path, "results", "results.run")) == 1


@pytest.mark.parametrize("given", ["missing", str(STATUS), "--no_such_option"])
def test_path_that_is_no_run(tmp_path: Path, given: str) -> None:
    made(tmp_path / "runs" / "a")
    result = status(tmp_path, "runs/a", given)
    assert result.returncode == 2 and given in result.stderr and not result.stdout


def test_json(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    (entry,) = entries(tmp_path)
    assert (entry["path"], entry["kind"], entry["state"]) == ("runs/a", "training", "done")
    assert (entry["done"], entry["total"], entry["is_over"]) == (5, 10, True)
    assert entry["step"] == 5 and entry["last_state"] is None  # as they were called


def test_options_from_a_file(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    made(tmp_path / "runs" / "b")
    (tmp_path / "json.yaml").write_text("json: true\n")
    (tmp_path / "one.yaml").write_text("json: true\nrun_dirs: [runs/b]\n")
    for options, paths in ((("json.yaml",), ["runs/a", "runs/b"]), (("one.yaml",), ["runs/b"])):
        result = status(tmp_path, "--config", *options)
        assert result.returncode == 0, result.stderr
        assert [entry["path"] for entry in json.loads(result.stdout)] == paths
    assert [entry["path"] for entry in entries(tmp_path, "--config", "one.yaml", "runs/a")] == ["runs/a"]


@pytest.mark.process
def test_watching_until_all_is_over(tmp_path: Path) -> None:
    made(tmp_path / "run")
    child = hold(tmp_path / "run")
    watcher = watch(tmp_path, "run", "--json")
    assert watcher.stdout is not None
    for _ in range(2):  # it looks again
        assert json.loads(watcher.stdout.readline())[0]["state"] == "running"
    child.communicate("")
    out, err = watcher.communicate(timeout=600)
    assert watcher.returncode == 0 and not err
    assert [entry["state"] for entry in json.loads(out.splitlines()[-1])] == ["done"]


def test_what_is_watched_is_not_cleared_from_a_file(tmp_path: Path) -> None:
    made(tmp_path / "run")
    result = status(tmp_path, "--watch", "run")
    assert result.returncode == 0 and result.stdout and "\033" not in result.stdout


@pytest.mark.process
def test_watching_ends_with_ctrl_c(tmp_path: Path) -> None:
    made(tmp_path / "run")
    child = hold(tmp_path / "run")
    watcher = watch(tmp_path, "run", "--json")
    assert watcher.stdout is not None and json.loads(watcher.stdout.readline())[0]["state"] == "running"
    watcher.send_signal(signal.SIGINT)
    out, err = watcher.communicate(timeout=600)
    assert (watcher.returncode, out, err) == (0, "", "")
    child.communicate("")


@pytest.mark.process
def test_real_generation(data_folder: Callable[[int], DataFolder]) -> None:
    folder = data_folder(3)
    assert folder.generate("--shards", 2).returncode == 0
    (entry,) = entries(folder.path)
    assert (entry["path"], entry["kind"], entry["state"]) == ("results.run", "generation", "done")
    shards = [(shard["number"], shard["state"], shard["done"], shard["total"]) for shard in entry["shards"]]
    assert (entry["done"], entry["total"], shards) == (3, 3, [(0, "done", 2, 2), (1, "done", 1, 1)])


@pytest.mark.process
@pytest.mark.parametrize("module", ["cv2", "jittor", "tensorboardX"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    program = f"import sys, launch.status; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
