"""Which folders are runs, and where they are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobs.run import record
from jobs.run.find import find_runs, is_run, run_of, runs_here
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State


def made(path: Path) -> Path:
    run = RunDir(path)
    run.create()
    record.begin(run, Kind.GENERATION, State.DONE)
    return path


def test_runs_below_a_folder(tmp_path: Path) -> None:
    for name in ("runs/ecgan", "runs/more/deep", "results.run", "runs/ecgan/before-1", "other/x"):
        made(tmp_path / name)
    (tmp_path / "runs/none").mkdir()
    found = [str(path.relative_to(tmp_path)) for path in runs_here(tmp_path)]
    assert found == ["results.run", "runs/ecgan", "runs/more/deep"]
    assert find_runs(tmp_path / "other") == find_runs(tmp_path / "other/x") == [tmp_path / "other/x"]
    assert find_runs(tmp_path / "no such folder") == [] and not is_run(tmp_path / "runs")


def test_the_run_of_a_results_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = made(tmp_path / "results.run")
    assert run_of(tmp_path / "results") == run_of(run) == run
    assert run_of(tmp_path / "other") == tmp_path / "other"
    monkeypatch.chdir(tmp_path)
    assert run_of(Path("results")) == Path("results.run") and run_of(Path("/")) == Path("/")
    assert run_of(Path()) == Path()
    Path("results").mkdir()
    monkeypatch.chdir("results")
    assert run_of(Path()) == run
    monkeypatch.chdir(run)
    assert run_of(Path()) == Path()
