"""The kinds of runs: their names are what files have, and one that is not known is called by its name."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import pytest

from ecgan.errors import UserError
from jobs.generate.plan import GeneratePlan
from jobs.run import record
from jobs.run.find import run_of, runs_here
from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.words import describe
from jobs.score.plan import ScorePlan
from jobs.train.plan import TrainPlan


@pytest.mark.parametrize("kind", Kind)
def test_a_kind_is_its_name(kind: Kind) -> None:
    assert Kind(json.loads(json.dumps(kind))) is kind and str(kind) == kind.value == kind


def test_runs_beside_results_are_found_whatever_their_kind(tmp_path: Path) -> None:
    beside = [kind for kind in Kind if kind.suffix]
    for kind in beside:
        run = RunDir(run_beside(tmp_path / "results", kind))
        run.create()
        record.begin(run, kind, State.DONE)
    assert runs_here(tmp_path) == [run_beside(tmp_path / "results", kind) for kind in beside]
    assert run_of(tmp_path / "results") == tmp_path / "results.run"


def test_a_kind_of_a_later_version_is_shown_by_its_name(tmp_path: Path) -> None:
    RunDir(tmp_path).status.write_text('{"kind": "dreaming", "state": "done", "total": 3, "done": 3}')
    status = read_status(tmp_path)
    assert (status.kind, status.unit, status.to_json()["kind"]) == ("dreaming", "picture", "dreaming")
    assert describe(status)[0] == f"{tmp_path}: dreaming, done"


@pytest.mark.parametrize("plan, kind", [(GeneratePlan, "generation"), (ScorePlan, "scoring"), (TrainPlan, "training")])
def test_a_plan_tells_its_kind(tmp_path: Path, plan: type, kind: str) -> None:
    run = RunDir(tmp_path)
    run.plan.write_text(json.dumps(dict.fromkeys(field.name for field in dataclasses.fields(plan))))
    assert record.kind_of(run) == record.read(run).kind == kind
    run.status.write_text("{")
    assert record.update(run, State.FAILED).kind == kind


@pytest.mark.parametrize("damaged", [None, "{", "[1]"])
def test_a_kind_of_a_later_version_is_not_written_over(tmp_path: Path, damaged: str | None) -> None:
    run = RunDir(tmp_path)
    run.plan.write_text('{"dreams": []}')
    if damaged:
        run.status.write_text(damaged)
    for kind in Kind:
        with pytest.raises(UserError, match=re.escape(str(tmp_path))):
            record.insist_on_kind(run, kind)
