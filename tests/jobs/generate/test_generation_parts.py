"""Plan, outcomes and merging one by one, with the moments between two renames that a kill can hit."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import draw_photo
from PIL import Image

from ecgan.config import ADDITIONS, ModelConfig
from ecgan.data.faults import Fault
from ecgan.errors import UserError
from ecgan.file_notes import FileNotes
from ecgan.files import sha256_of
from jobs.generate import manifest, merge, outcomes, replacing, strays, work
from jobs.generate.finish import GenerateFinish
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Painting, Task, differences
from jobs.generate.settings import GenerateSettings
from jobs.generate.shard import GenerateShare
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State

SIZE = (32, 32)


def painting(seed: int = 0) -> Painting:
    return Painting("c", "hash", "latest", ModelConfig(), "cpu", "dense", "float32", seed, 1.0, "lab", SIZE, "png", 95)


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
    assert [task.name for task in plan.by_shard()[1]] == ["t4"] and plan.shards == 2
    assert plan_of(2).in_shards(set(), 4).shards == 0


def test_plan_comes_back_from_its_file(tmp_path: Path) -> None:
    plan = plan_of(4)
    plan.save(tmp_path / "plan.json")
    assert GeneratePlan.load(tmp_path / "plan.json") == plan
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(UserError, match=r"plan\.json"):
        GeneratePlan.load(tmp_path / "plan.json")


def test_fingerprint_changes_with_what_changes_pictures() -> None:
    first, other = painting().fingerprint(), painting(seed=1).fingerprint()
    assert differences(first, other) == "seed"
    assert json.loads(json.dumps(first)) == first
    assert {"checkpoint_hash", "noise", "size", "format", "device", "libraries", "model"} <= first.keys()
    for name in ADDITIONS:
        with_it = dataclasses.replace(painting(), model=ModelConfig(**{name: True})).fingerprint()
        assert differences(first, with_it) == "model" and with_it["model"].keys() == first["model"].keys() | {name}
        assert name not in first["model"]  # pictures of before there were any are still of the same settings


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
    assert merge.verify(run, plan, gathered, FileNotes()) == []
    (run.images / "t0.png").unlink()
    (run.images / "t1.png").write_bytes(b"something else")
    del gathered["t2"]
    assert [(gap.name, gap.reason) for gap in merge.verify(run, plan, gathered, FileNotes())] == [
        ("t0", "its file is gone"),
        ("t1", "its file is not the one that was written"),
        ("t2", "not made yet"),
    ]
    gathered["t1"] = TaskOutcome("t1", "inputs1", 0, sha256_of(run.images / "t1.png"))
    assert any("unreadable" in gap.reason for gap in merge.verify(run, plan, gathered, FileNotes()))


def test_a_picture_is_read_once_and_again_when_it_has_changed(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], monkeypatch: pytest.MonkeyPatch
) -> None:
    run, plan, gathered = made_run
    pictures = [run.images / file for file in plan.files]
    for path in pictures:
        os.utime(path, (1e9, 1e9))
    notes, read, original = FileNotes(), [], merge.read_bytes

    def reading(path: Path) -> bytes:
        read.append(path)
        return original(path)

    monkeypatch.setattr(merge, "read_bytes", reading)
    for path in pictures:
        notes.sha256_of(path)  # of what was hashed it is not known yet that it can be decoded
    assert merge.verify(run, plan, gathered, notes) == [] and sorted(read) == pictures
    assert merge.verify(run, plan, gathered, notes) == [] and len(read) == 3
    pictures[1].write_bytes(pictures[0].read_bytes())
    os.utime(pictures[1], (1e9, 1e9 + 1))
    assert [gap.name for gap in merge.verify(run, plan, gathered, notes)] == ["t1"] and read[3:] == pictures[1:2]


def test_a_shard_reads_its_own_part_alone(made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]]) -> None:
    """Of the plan and of what has been made: the others' would take memory, however small the shard is."""
    run, plan, gathered = made_run
    plan.in_shards({"t0", "t1", "t2"}, 3).save(run.plan)
    outcomes.append(outcomes.shard_file(run, 1), gathered["t1"])
    lines = run.items.read_bytes().splitlines(keepends=True)
    for number in (1, 3):
        lines[number] = b"x" * (len(lines[number]) - 1) + b"\n"
    run.items.write_bytes(b"".join(lines))
    for path in (run.done, outcomes.shard_file(run, 0), outcomes.shard_file(run, 2)):
        path.unlink(missing_ok=True)
        path.mkdir()
    share = GenerateShare(run, 1)
    assert [task.name for task in share.items] == ["t1"] and not share.left()
    (run.images / "t1.png").unlink()
    assert share.left() == [*share.items]


def test_new_results_replace_old_ones(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    results = publish(made_run, tmp_path)
    run.images.mkdir()
    merge.adopt(run, results, plan, gathered)
    manifest.write_manifest(run, plan, gathered, {})
    replacing.swap_in(run, results)
    assert merge.is_complete(results, plan) and not run.replaced.exists()
    assert not merge.is_complete(results, plan_of(2))
    assert not merge.is_complete(results, plan_of(3, seed=1))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["results", "results.run"]


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

    def verify_slowly(*of: Any) -> list[manifest.Gap]:
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
    replacing.restore(run, results)  # old ones aside, new ones not in place
    assert (results / "old.png").exists() and not run.replaced.exists()

    replacing.restore(run, results)  # nothing to mend
    results.rename(run.replaced)
    results.mkdir()
    replacing.restore(run, results)  # an empty folder was put there meanwhile
    assert (results / "old.png").exists() and not run.replaced.exists()

    run.replaced.mkdir()
    with pytest.raises(UserError, match=re.escape(str(results))):
        replacing.restore(run, results)  # other pictures were put there meanwhile
    run.replaced.rmdir()
    manifest.write_manifest(run, plan, gathered, {})
    results.rename(run.replaced)
    run.images.rename(results)
    replacing.restore(run, results)  # new ones in place, old ones, which nobody knows how to make, not put away
    assert merge.is_complete(results, plan) and not run.replaced.exists()
    assert (tmp_path / "results.old/old.png").exists()


def test_results_that_can_not_be_renamed_stay(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    with pytest.raises(UserError, match=re.escape(str(run.images))):  # where they are
        replacing.swap_in(run, tmp_path / "no" / "such" / "folder")
    assert len(list(run.images.glob("*.png"))) == 3


@pytest.mark.parametrize("content", ["{", '{"images": {}}', "[]"])
def test_results_whose_manifest_is_damaged_are_put_aside_where_that_was_asked_for(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path, content: str
) -> None:
    run, plan, _ = made_run
    plan.save(run.plan)
    results = tmp_path / "results"
    results.mkdir()
    (results / "t9.png").write_bytes(b"of a larger run")
    (results / manifest.MANIFEST).write_text(content)
    with pytest.raises(UserError, match="manifest.json is damaged.*--overwrite"):
        replacing.insist_on_replaceable(results, plan, overwrite=False)
    replacing.insist_on_replaceable(results, plan, overwrite=True)
    finish = GenerateFinish(run.path, results, GenerateSettings(overwrite=True), ())
    assert finish() == 0 and merge.is_complete(results, plan)
    aside = tmp_path / "results.old"
    assert (aside / "t9.png").read_bytes() == b"of a larger run"


@pytest.mark.parametrize(
    "content", ["{", "[]", '{"fingerprint": 5}', '{"fingerprint": [["seed", 1]]}', "seed", "model"]
)
def test_pictures_of_a_damaged_plan_are_not_made_again_without_a_word(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path, content: str
) -> None:
    run, plan, _ = made_run
    plan.save(run.plan)
    here = work._made_before(run, tmp_path / "results", plan, {}, False)
    assert here[0].keys() == {"t0", "t1", "t2"} and not any(here[1:])
    if content in ("seed", "model"):  # of a type that it can't be
        saved = json.loads(run.plan.read_text())
        saved["fingerprint"][content] = "text"
        content = json.dumps(saved)
    run.plan.write_text(content)
    with pytest.raises(UserError, match="plan.json is damaged.*--overwrite"):
        work._made_before(run, tmp_path / "results", plan, {}, False)
    assert work._made_before(run, tmp_path / "results", plan, {}, True)[0] == {}
    run.plan.unlink()  # as a kill leaves it while one plan takes the place of another
    *again, remarks = work._made_before(run, tmp_path / "results", plan, {}, False)
    assert again == [{}, {}] and len(remarks) == 1 and remarks[0].startswith("3 ")


def test_pictures_of_a_plan_of_before_are_kept_and_its_jobs_refused(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    """It had its tasks in the same file."""
    run, plan, _ = made_run
    before = {"fingerprint": plan.painting.fingerprint(), **dataclasses.asdict(plan)}
    run.plan.write_text(json.dumps(before))
    with pytest.raises(UserError, match=r"plan\.json .*start the run again"):
        GenerateShare(run, 0)
    assert work._made_before(run, tmp_path / "results", plan, {}, False)[0].keys() == {"t0", "t1", "t2"}


def test_what_failed_is_tried_again_whatever_has_become_of_some_lines(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    run.failures.write_text('{"name": "m1", "reason": "bad"}\n{"na\n5\n')
    assert work._failed_names(run, missing=3) == ({"m1"}, 2)
    run.failures.write_text("{")
    with pytest.raises(UserError, match=r"failures\.jsonl is damaged"):
        work._failed_names(run, missing=3)


@pytest.mark.parametrize(
    "change", [{"painting": []}, {"items": [5]}, {"batch": "x"}, {"painting": {"model": ["width"]}}]
)
def test_what_is_no_plan_is_told_to_the_user(tmp_path: Path, change: dict[str, Any]) -> None:
    path = tmp_path / "plan.json"
    plan_of(2).save(path)
    values = json.loads(path.read_text())
    if isinstance(change.get("painting"), dict):
        change = {"painting": values["painting"] | change["painting"]}
    path.write_text(json.dumps(values | change))
    with pytest.raises(UserError, match="plan.json is not a plan"):
        GeneratePlan.load(path)


def test_a_folder_keeps_its_kind_of_run(tmp_path: Path) -> None:
    run = RunDir(tmp_path / "run", "--run_dir")
    record.insist_on_kind(run, Kind.TRAINING)
    run.create()
    plan_of(1).save(run.plan)
    for kind in (Kind.TRAINING, Kind.SCORING):
        with pytest.raises(UserError, match="--run_dir.*generation"):
            record.insist_on_kind(run, kind)
    record.insist_on_kind(run, Kind.GENERATION)
    record.begin(run, Kind.TRAINING, State.DONE)
    record.insist_on_kind(run, Kind.TRAINING)
    with pytest.raises(UserError, match="training"):
        record.insist_on_kind(run, Kind.GENERATION)
    run.status.write_text("{")
    run.plan.write_text("{")
    record.insist_on_kind(run, Kind.GENERATION)  # nothing says what it was


def publish(made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path) -> Path:
    """The run's pictures as a results folder."""
    run, plan, gathered = made_run
    manifest.write_manifest(run, plan, gathered, {})
    replacing.swap_in(run, tmp_path / "results")
    return tmp_path / "results"


@pytest.mark.parametrize("done", ["retouched", "cut short", "added", "of another mask", "not asked for"])
def test_what_would_be_lost_is_not_replaced(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path, done: str
) -> None:
    plan, results = made_run[1], publish(made_run, tmp_path)
    replacing.insist_on_replaceable(results, plan, overwrite=False)
    if done == "retouched":
        Image.fromarray(draw_photo(9, SIZE)).save(results / "t1.png")
    elif done == "cut short":
        (results / "t1.png").write_bytes((results / "t1.png").read_bytes()[:-9])
    elif done == "added":
        plan = plan_of(4)
        (results / "t3.png").write_bytes(b"mine")
    elif done == "of another mask":
        tasks = (plan.tasks[0], Task("t1", "m1.png", "r.jpg", "other inputs", 0), plan.tasks[2])
        plan = GeneratePlan(plan.painting, 1, tasks)
    else:
        plan = plan.without(["t1"])
    with pytest.raises(UserError, match=r"\bt[13]\.png\b.*--overwrite"):
        replacing.insist_on_replaceable(results, plan, overwrite=False)
    replacing.insist_on_replaceable(results, plan, overwrite=True)
    (results / "t1.png").unlink()
    (results / "t3.png").unlink(missing_ok=True)
    replacing.insist_on_replaceable(results, plan, overwrite=False)  # what the user has deleted is made anew


def test_what_is_not_as_it_was_made_is_kept_beside_what_replaces_it(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> None:
    run, plan, gathered = made_run
    for number in (1, 2):
        results = publish(made_run, tmp_path)
        (results / "t1.png").write_bytes(b"retouched %d" % number)
        shutil.copytree(results, run.images)
        Image.fromarray(draw_photo(1, SIZE)).save(run.images / "t1.png")
    publish(made_run, tmp_path)
    assert (tmp_path / "results.old/t1.png").read_bytes() == b"retouched 1"
    assert (tmp_path / "results.old-2/t1.png").read_bytes() == b"retouched 2"
    assert merge.is_complete(tmp_path / "results", plan)


def fail(run: RunDir, name: str, bad_input: bool) -> None:
    """Has the picture of that name fail."""
    outcomes.append(
        outcomes.shard_file(run, 1), TaskOutcome(name, f"inputs{name[1:]}", 1, error="why", bad_input=bad_input)
    )


@pytest.fixture
def finishing(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]], tmp_path: Path
) -> Callable[..., GenerateFinish]:
    run, plan, _ = made_run
    plan.save(run.plan)
    return lambda skipped=(), **how: GenerateFinish(
        run.path, tmp_path / "results", GenerateSettings(**how), tuple(skipped)
    )


def test_a_run_ends_without_what_has_bad_input(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    finishing: Callable[..., GenerateFinish],
) -> None:
    run, plan, gathered = made_run
    fail(run, "t1", bad_input=True)
    faults = [Fault("t1", "why"), Fault(None, "ghost.png: does not exist")]
    finish = finishing(faults, on_bad_input="skip")
    assert finish() == 2
    left_out = [{"name": "t1", "reason": "why"}, {"name": None, "reason": "ghost.png: does not exist"}]
    told = json.loads((tmp_path / "results/manifest.json").read_text())
    assert told["left_out"] == left_out and set(told["images"]) == {"t0.png", "t2.png"}
    assert not (tmp_path / "results/t1.png").exists()
    assert run.missing.read_text().splitlines() == ["t1: why", "ghost.png: does not exist"]
    assert [json.loads(line)["reason"] for line in run.failures.read_text().splitlines()] == [
        "why",
        "ghost.png: does not exist",
    ]
    told = record.read(run)
    assert (told.state, told.done, told.failed) == (State.DONE, 2, 1)
    assert finish.outcome()[1] == 2
    assert finish() == 2  # called again, as after a kill
    # Mended, it is made, and the results become whole.
    shutil.copytree(tmp_path / "results", run.images)
    Image.fromarray(draw_photo(1, SIZE)).save(run.images / "t1.png")
    outcomes.append(outcomes.shard_file(run, 2), gathered["t1"])
    assert finishing()() == 0 and merge.is_complete(tmp_path / "results", plan)
    assert manifest.left_out(manifest.read_manifest(tmp_path / "results")) == []


@pytest.mark.parametrize(
    "failed, how",
    [
        ({"t1": True}, "stop"),
        ({"t1": False}, "skip"),  # the network failed, say
        ({"t1": True, "t2": False}, "skip"),
        ({"t0": True, "t1": True, "t2": True}, "skip"),  # nothing would be left
    ],
)
def test_what_else_is_missing_keeps_a_run_from_its_end(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    finishing: Callable[..., GenerateFinish],
    failed: dict[str, bool],
    how: str,
) -> None:
    run = made_run[0]
    for name, bad_input in failed.items():
        fail(run, name, bad_input)
    assert finishing(on_bad_input=how)() == len(failed)
    assert not (tmp_path / "results").exists() and record.read(run).state is State.INCOMPLETE


def test_a_picture_that_exists_is_not_dropped_with_its_mask(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    finishing: Callable[..., GenerateFinish],
) -> None:
    run = made_run[0]
    results = publish(made_run, tmp_path)
    shutil.copytree(results, run.images)
    fail(run, "t1", bad_input=True)
    with pytest.raises(UserError, match=r"t1\.png.*--overwrite"):
        finishing(on_bad_input="skip")()
    assert (results / "t1.png").exists()
    assert finishing(on_bad_input="skip", overwrite=True)() == 1 and not (results / "t1.png").exists()


def test_strays_stop_nothing(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    finishing: Callable[..., GenerateFinish],
) -> None:
    run, plan, _ = made_run
    (run.images / "notes.txt").write_text("mine")
    (run.images / "folder").mkdir()
    (run.images / ".DS_Store").touch()
    run.strays.mkdir()
    (run.strays / "notes.txt").write_text("of before")
    assert finishing()() == 0 and merge.is_complete(tmp_path / "results", plan)
    assert (run.strays / "notes.txt-2").read_text() == "mine" and (run.strays / "folder").is_dir()
    assert (run.strays / "notes.txt").read_text() == "of before"


#: What the end of a generation calls, in whose middle Ctrl-C may come.
MOMENTS = [(merge, "verify"), (manifest, "write_manifest"), (strays, "set_aside"), (os, "rename"), (shutil, "rmtree")]


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("module, function", MOMENTS)
@pytest.mark.parametrize("call", [1, 2, 3])
def test_an_interrupted_end_loses_nothing(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    finishing: Callable[..., GenerateFinish],
    monkeypatch: pytest.MonkeyPatch,
    module: Any,
    function: str,
    call: int,
    when: str,
) -> None:
    """Ctrl-C at each call of each step of the end, with pictures in place that have no manifest."""
    run, plan, _ = made_run
    results = tmp_path / "results"
    shutil.copytree(run.images, results)
    calls, original = 0, getattr(module, function)

    def interrupted(*of: Any, **how: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call and when == "before":
            os.kill(os.getpid(), signal.SIGINT)
        value = original(*of, **how)
        if calls == call and when == "after":
            os.kill(os.getpid(), signal.SIGINT)
        return value

    monkeypatch.setattr(module, function, interrupted)
    try:
        assert finishing(overwrite=True)() == 0
        assert calls < call
    except KeyboardInterrupt:
        assert len(list(results.glob("*.png")) or list(run.replaced.glob("*.png"))) == 3
    monkeypatch.setattr(module, function, original)
    assert finishing(overwrite=True)() == 0
    assert merge.is_complete(results, plan) and not run.replaced.exists()
    assert len(list((tmp_path / "results.old").glob("*.png"))) == 3  # they had no manifest


@pytest.mark.parametrize("what", ["bind", "overlay", "overlay of the run", "link to another disk"])
def test_results_that_no_rename_can_replace_are_refused_before(
    made_run: tuple[RunDir, GeneratePlan, dict[str, TaskOutcome]],
    tmp_path: Path,
    mount: Callable[[int], Path],
    what: str,
) -> None:
    run, plan, _ = made_run
    disk = mount(2)
    below, results = disk / "below", tmp_path / "results"
    (below / "results").mkdir(parents=True)
    (below / "results.run/images").mkdir(parents=True)
    replacing.insist_on_renames(run, results)
    if what == "link to another disk":
        shutil.rmtree(run.path)
        run.path.symlink_to(below / "results.run")
    elif what == "bind":
        results.mkdir()
        subprocess.run(["mount", "--bind", run.logs, results], check=True)
        with pytest.raises(UserError, match="^--output_path .* mount point"):
            replacing.insist_on_replaceable(results, plan, overwrite=True)
    else:
        options = f"lowerdir={below},upperdir={disk}/upper,workdir={disk}/work"
        for folder in ("upper", "work"):
            (disk / folder).mkdir()
        (merged := tmp_path / "merged").mkdir()
        if subprocess.run(["mount", "-t", "overlay", "-o", options, "x", merged], capture_output=True).returncode:
            pytest.skip("no overlay can be mounted here")
        run, results = RunDir(merged / "results.run"), merged / "results"
        if what == "overlay of the run":
            results.rmdir()
    try:
        with pytest.raises(UserError, match="^--output_path .* can't be renamed"):
            replacing.insist_on_renames(run, results)
        assert not list(results.parent.glob(".*")) and not list(run.path.glob(".*"))
    finally:
        for folder in (results, tmp_path / "merged"):
            subprocess.run(["umount", "--lazy", folder], capture_output=True)


@pytest.mark.parametrize(
    "line",
    ['{"name": 1, "inputs": "i", "shard": 0, "sha256": 3}', '{"name": "t0"}', "[" * 100_000, "[1]", '{"name": "t'],
)
def test_a_line_that_is_no_outcome_counts_for_nothing(tmp_path: Path, line: str) -> None:
    run = RunDir(tmp_path)
    run.create(run.shards)
    made = TaskOutcome("t0", "i", 0, "sha", 0.5)
    outcomes.append(outcomes.shard_file(run, 0), made)
    with open(outcomes.shard_file(run, 0), "a") as file:
        file.write(f"{line}\n")
    assert outcomes.gather(run) == {"t0": made}
