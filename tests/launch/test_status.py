"""`launch/status.py` as a process, beside processes that hold runs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, DataFolder

from jobs.run import record
from jobs.run.find import PLACES
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State

pytestmark = pytest.mark.process

STATUS = ROOT / "launch" / "status.py"
HOLD = (
    "import sys; from pathlib import Path; from jobs.run import lock, record; from jobs.run.folder import RunDir\n"
    "from jobs.run.state import State; run = RunDir(Path(sys.argv[1])); lock.take(run)\n"
    "record.begin(run, 'training', State.RUNNING, step=1, total=9); print('held', flush=True); sys.stdin.read()\n"
    "record.update(run, State.DONE, step=9)\n"
)


def status(folder: Path, *options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(STATUS), *map(str, options)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)


def made(path: Path, state: State = State.DONE) -> RunDir:
    run = RunDir(path)
    run.create()
    record.begin(run, Kind.TRAINING, state, step=5, total=10)
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


def test_all_runs_of_a_folder(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    made(tmp_path / "runs" / "b", State.RUNNING)  # by nobody
    (tmp_path / "runs" / "b" / "lock").touch()
    made(tmp_path / "results.run", State.STOPPED)
    result = status(tmp_path)
    assert result.returncode == 0 and not result.stderr
    heads = [line for line in result.stdout.splitlines() if line and not line.startswith(" ")]
    assert [head.split(":")[0] for head in heads] == ["results.run", "runs/a", "runs/b"]
    assert "died: no process holds it; run the same command again to go on" in heads[2]
    assert "5 of 10 (50 %)" in result.stdout


def test_nothing_here(tmp_path: Path) -> None:
    result = status(tmp_path)
    assert (result.returncode, result.stdout) == (0, f"no runs here: nothing of {PLACES}\n")
    assert json.loads(status(tmp_path, "--json").stdout) == []


def test_runs_by_name(tmp_path: Path) -> None:
    run = made(tmp_path / "results.run")
    for given in ("results.run", "results", run.path):
        assert status(tmp_path, given).stdout.splitlines()[0].endswith("results.run: training, done")
    assert status(run.path).stdout.startswith(".: training, done")
    assert status(tmp_path, "results", "results.run").stdout.count("training, done") == 1


def test_path_that_is_no_run(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    for given in ("missing", STATUS):
        result = status(tmp_path, "runs/a", given)
        assert result.returncode == 2 and "is not the folder of a run" in result.stderr
        assert str(given) in result.stderr and "Traceback" not in result.stderr
    assert status(tmp_path, "--no_such_option").returncode == 2


def test_json(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    (entry,) = json.loads(status(tmp_path, "--json").stdout)
    assert (entry["path"], entry["kind"], entry["state"]) == ("runs/a", "training", "done")
    assert (entry["done"], entry["total"], entry["is_over"]) == (5, 10, True)


def test_options_from_a_file(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "a")
    made(tmp_path / "runs" / "b")
    (tmp_path / "json.yaml").write_text("json: true\n")
    (tmp_path / "one.yaml").write_text("json: true\nrun_dirs: [runs/b]\n")
    for options, paths in ((("json.yaml",), ["runs/a", "runs/b"]), (("one.yaml",), ["runs/b"])):
        result = status(tmp_path, "--config", *options)
        assert result.returncode == 0, result.stderr
        assert [entry["path"] for entry in json.loads(result.stdout)] == paths
    named = status(tmp_path, "--config", "one.yaml", "runs/a")
    assert [entry["path"] for entry in json.loads(named.stdout)] == ["runs/a"]


def test_watching_until_all_is_over(tmp_path: Path) -> None:
    made(tmp_path / "run")
    child = hold(tmp_path / "run")
    watcher = watch(tmp_path, "run")
    assert watcher.stdout is not None and "training, running" in watcher.stdout.readline()
    time.sleep(0.5)
    assert watcher.poll() is None
    child.communicate("")
    out, err = watcher.communicate(timeout=120)
    assert watcher.returncode == 0 and not err
    assert "training, done" in out and "\033" not in out


def test_watching_ends_with_ctrl_c(tmp_path: Path) -> None:
    made(tmp_path / "run")
    child = hold(tmp_path / "run")
    watcher = watch(tmp_path, "run", "--json")
    assert watcher.stdout is not None and json.loads(watcher.stdout.readline())[0]["state"] == "running"
    watcher.send_signal(signal.SIGINT)
    out, err = watcher.communicate(timeout=120)
    assert (watcher.returncode, out, err) == (0, "", "")
    child.communicate("")


def test_real_generation(data_folder: Callable[[int], DataFolder]) -> None:
    folder = data_folder(3)
    assert folder.generate("--shards", 2).returncode == 0
    result = status(folder.path)
    assert result.returncode == 0, result.stderr
    assert "results.run: generation, done" in result.stdout and "3 of 3 (100 %)" in result.stdout
    assert "shard 0   done      2 of 2" in result.stdout and "shard 1   done      1 of 1" in result.stdout


@pytest.mark.parametrize("module", ["cv2", "jittor", "tensorboardX"])
def test_nothing_heavy_is_loaded(module: str) -> None:
    program = f"import sys, launch.status; sys.exit({module!r} in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], cwd=ROOT).returncode == 0
