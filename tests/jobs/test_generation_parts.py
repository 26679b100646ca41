"""Plan, outcomes and merging one by one, with the moments between two renames that a kill can hit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import draw_photo
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.errors import UserError
from ecgan.files import sha256_of
from jobs.generate import merge, outcomes
from jobs.generate.finish import GenerateFinish
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Painting, Task, differences
from jobs.generate.settings import GenerateSettings
from jobs.run import attempts
from jobs.run.folder import RunDir

SIZE = (32, 32)


def painting(seed: int = 0) -> Painting:
    return Painting("c", "hash", "latest", ModelConfig(), "cpu", "dense", seed, 1.0, "lab", SIZE, "png", 95)


def plan_of(count: int, seed: int = 0) -> GeneratePlan:
    tasks = tuple(Task(f"t{i}", f"m{i}.png", "r.jpg", f"inputs{i}", 0) for i in range(count))
    return GeneratePlan(painting(seed), 1, tasks)


@pytest.fixture
def made_run(tmp_path: Path) -> tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]]:
    """A run of three pictures, all made."""
    run, plan = RunDir(tmp_path / "results.run"), plan_of(3)
    run.create(run.shards, run.images)
    for index, task in enumerate(plan.tasks):
        path = run.images / task.file("png")
        Image.fromarray(draw_photo(index, SIZE)).save(path)
        outcomes.append(outcomes.shard_file(run, 0), TaskOutcome(task.name, task.inputs, 0, sha256_of(path), 0.1))
    return run, plan, outcomes.gather(run)


def test_what_is_made_gets_no_shard() -> None:
    plan = plan_of(5).in_shards({"t1", "t4"}, 8)
    assert [task.shard for task in plan.tasks] == [None, 0, None, None, 1]
    assert [task.name for task in plan.of_shard(1)] == ["t4"] and plan.shards == 2
    assert plan_of(2).in_shards(set(), 4).shards == 0


def test_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    plan = plan_of(4)
    plan.save(tmp_path / "plan.json")
    assert GeneratePlan.load(tmp_path / "plan.json") == plan
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(UserError, match="plan.json is not a plan"):
        GeneratePlan.load(tmp_path / "plan.json")


def test_fingerprint_changes_with_what_changes_pictures() -> None:
    first, other = painting().fingerprint(), painting(seed=1).fingerprint()
    assert differences(first, other) == "seed"
    assert json.loads(json.dumps(first)) == first
    assert {"checkpoint_hash", "noise", "size", "format", "device", "libraries", "model"} <= first.keys()


def test_line_cut_short_by_a_kill_is_no_outcome(made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]]) -> None:
    run, plan, gathered = made_run
    path = outcomes.shard_file(run, 0)
    path.write_text(path.read_text()[:-30])
    assert set(outcomes.gather(run)) == {"t0", "t1"}
    assert outcomes.made(run.images, plan, plan.tasks, outcomes.gather(run)) == {"t0", "t1"}
    assert outcomes.made(run.images, plan, plan.tasks, gathered) == {"t0", "t1", "t2"}


def test_later_outcome_wins(made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]]) -> None:
    run, plan, gathered = made_run
    outcomes.compact(run, {"t0": TaskOutcome("t0", "inputs0", -1, error="bad"), "t1": gathered["t1"]})
    assert outcomes.gather(run)["t0"].error == "bad"
    outcomes.append(outcomes.shard_file(run, 4), gathered["t0"])
    assert outcomes.gather(run)["t0"].error is None
    assert outcomes.write_failures(run, plan, outcomes.gather(run)) == 0


def test_verification_names_every_gap(made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]]) -> None:
    run, plan, gathered = made_run
    assert merge.verify(run, plan, gathered) == []
    (run.images / "t0.png").unlink()
    (run.images / "t1.png").write_bytes(b"something else")
    del gathered["t2"]
    assert [(gap.name, gap.reason) for gap in merge.verify(run, plan, gathered)] == [
        ("t0", "its file is gone"),
        ("t1", "its file is not the one that was written"),
        ("t2", "not made yet"),
    ]
    gathered["t1"] = TaskOutcome("t1", "inputs1", 0, sha256_of(run.images / "t1.png"))
    assert any("unreadable" in gap.reason for gap in merge.verify(run, plan, gathered))
    (run.images / "stranger.png").touch()
    with pytest.raises(UserError, match="stranger.png"):
        merge.verify(run, plan, gathered)


def test_new_results_replace_old_ones(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    results = tmp_path / "results"
    results.mkdir()
    (results / "old.png").touch()
    merge.write_manifest(run, plan, gathered, {})
    merge.swap_in(run, results)
    assert merge.is_complete(results, plan) and not (results / "old.png").exists() and not run.replaced.exists()
    assert not merge.is_complete(results, plan_of(2))
    assert not merge.is_complete(results, plan_of(3, seed=1))


@pytest.mark.parametrize("begun", ["before", "while verifying"])
def test_only_the_newest_merge_writes(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    begun: str,
) -> None:
    run, plan, _ = made_run
    plan.save(run.plan)
    first = attempts.begin(run.attempts, attempts.MERGE)
    monkeypatch.setenv(attempts.VARIABLE, str(first.path))
    verify = merge.verify

    def verify_slowly(*of: Any) -> list[merge.Gap]:
        attempts.begin(run.attempts, attempts.MERGE)
        return verify(*of)

    if begun == "before":
        attempts.begin(run.attempts, attempts.MERGE)
    else:
        monkeypatch.setattr(merge, "verify", verify_slowly)
    finish = GenerateFinish(run.path, tmp_path / "results", GenerateSettings(), ())
    with pytest.raises(attempts.Superseded):
        finish()
    assert not (tmp_path / "results").exists() and not run.status.exists() and not run.missing.exists()
    monkeypatch.setattr(merge, "verify", verify)
    monkeypatch.setenv(attempts.VARIABLE, str(attempts.every(run.attempts)[-1].path))
    assert finish() == 0 and merge.is_complete(tmp_path / "results", plan)


def test_kill_between_the_renames_is_mended(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    results = tmp_path / "results"
    run.replaced.mkdir()
    (run.replaced / "old.png").touch()
    merge.restore(run, results)  # old ones aside, new ones not in place
    assert (results / "old.png").exists() and not run.replaced.exists()

    merge.restore(run, results)  # nothing to mend
    results.rename(run.replaced)
    results.mkdir()
    merge.restore(run, results)  # an empty folder was put there meanwhile
    assert (results / "old.png").exists() and not run.replaced.exists()

    run.replaced.mkdir()
    with pytest.raises(UserError, match="has taken the place"):
        merge.restore(run, results)  # other pictures were put there meanwhile
    run.replaced.rmdir()
    merge.write_manifest(run, plan, gathered, {})
    results.rename(run.replaced)
    run.images.rename(results)
    merge.restore(run, results)  # new ones in place, old ones not deleted
    assert merge.is_complete(results, plan) and not run.replaced.exists()


def test_results_that_can_not_be_renamed_stay(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    with pytest.raises(UserError, match="pictures are in"):
        merge.swap_in(run, tmp_path / "no" / "such" / "folder")
    assert len(list(run.images.glob("*.png"))) == 3
