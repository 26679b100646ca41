"""Plans and states as files: read back, by the version that wrote them and by later ones, and compared."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from ecgan.checkpoint import native
from ecgan.data.trainset import Pair
from ecgan.errors import UserError
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.train.files import Files
from jobs.train.plan import TrainPlan
from jobs.train.resume import beginning, compare_with_state, identity
from jobs.train.settings import TrainSettings
from jobs.train.standing import Best, Measurement, Standing

#: What the version before `began` was noted wrote.
OLD = ROOT / "tests/fixtures/old-run"
PAIRS = tuple(Pair(f"p{i}", Path(f"/photos/p{i}.jpg"), Path(f"/masks/p{i}.png")) for i in range(6))


def planned(settings: TrainSettings | None = None, **others: Any) -> TrainPlan:
    return TrainPlan(settings or TrainSettings(**others), PAIRS, "cpu", 1)


def saved(run: RunDir, plan: TrainPlan, step: int = 3, **others: Any) -> Standing:
    """A state of `plan`, without tensors."""
    standing = Standing(step, 1, 2.5, None, None, identity(plan), beginning(plan.settings))
    standing = dataclasses.replace(standing, **others)
    native.save(run.states / f"step-{step:08}", {}, plan.settings.model, {"training": standing.to_json()})
    return standing


def test_a_plan_is_read_as_it_was_written(tmp_path: Path) -> None:
    files = Files(vgg="/w/vgg.pth", segmenter="/w/s", segmenter_size=(64, 32), inception="/w/i", photos="/photos")
    plan = TrainPlan(TrainSettings(held_out=2, lr=1e-3), PAIRS[:4], "cpu", 2, PAIRS[4:], files)
    plan.save(tmp_path / "plan.json")
    assert TrainPlan.load(tmp_path / "plan.json") == plan


def test_a_gain_that_had_no_effect_is_not_held_against_a_plan(tmp_path: Path) -> None:
    values = json.loads((OLD / "plan.json").read_text())
    assert values["settings"]["init_type"] == "kaiming"
    values["settings"]["init_variance"] = 0.5
    (tmp_path / "plan.json").write_text(json.dumps(values))
    assert TrainPlan.load(tmp_path / "plan.json") == TrainPlan.load(OLD / "plan.json")


def test_a_plan_of_an_older_version_is_read() -> None:
    plan = TrainPlan.load(OLD / "plan.json")
    assert plan.settings.init_type == "kaiming" and plan.settings.reuse_fakes and plan.files == Files()
    assert (plan.pairs[5].name, plan.device, plan.ranks, plan.held_out) == ("p5", "cpu", 1, ())


@pytest.mark.parametrize(
    "change",
    [
        {"vgg": ...},
        {"settings": ...},
        {"pairs": 5},
        {"settings": {"network": "ecgan", "unknown": 1}},
        {"segmenter_size": [1]},
        {"unheard_of": 1},
        {"ranks": "2"},
        {"device": "auto"},
        {"vgg": 5},
        {"settings": {"lr": "fast"}},
        {"settings": {"network": "another"}},
        {"pairs": [["p0", 1, "p0.png"]]},
        {"pairs": [["p0", "p0.jpg"]]},
        None,
    ],
)
def test_what_is_no_plan_is_told_to_the_user(tmp_path: Path, change: dict[str, Any] | None) -> None:
    values = json.loads((OLD / "plan.json").read_text()) | (change or {})
    path = tmp_path / "plan.json"
    path.write_text(json.dumps({name: value for name, value in values.items() if value is not ...}) if change else "[")
    with pytest.raises(UserError, match=r"plan\.json"):
        TrainPlan.load(path)


@pytest.mark.parametrize("network", ["ecgan", "segmenter"])
def test_a_state_of_an_older_version_is_read_and_written_alike(network: str) -> None:
    noted = json.loads((OLD / f"{network}.json").read_text())
    standing = Standing.of_state(OLD, noted)
    assert standing.step == noted["step"] and standing.began == {}
    assert standing.best == Best(**noted["best"])
    if network == "segmenter":
        assert standing.measured is not None and set(standing.measured.values) == {"mask_accuracy", "mean_iou"}
        assert (standing.measured.step, standing.measured.pairs) == (6, 2)
    del noted["counters"]  # which are noted with the tensors
    assert standing.to_json() == noted | {"began": {}}


@pytest.mark.parametrize("noted", [None, {}, {"step": 1}, "text", {"step": 1, "epoch": 1, "seconds": 1, "best": None}])
def test_what_is_no_state_of_a_training_is_told_to_the_user(noted: Any) -> None:
    with pytest.raises(UserError, match="^state "):
        Standing.of_state(Path("state"), noted)


def test_a_standing_is_read_as_it_was_written(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    measured = Measurement(3, 2, {"style": 0.5})
    standing = saved(run, planned(), best=Best(2, 0.25, "judges"), measured=measured)
    noted = native.describe(run.states / "step-00000003")["about"]["training"]
    assert Standing.of_state(tmp_path, noted) == standing
    assert noted["measured"] == {"style": 0.5, "step": 3, "pairs": 2}


def test_what_steers_otherwise_is_listed_and_what_has_no_effect(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    before = planned(lr=1e-3, init_type="kaiming", init_checkpoint="a", which_epoch="5")
    saved(run, before)
    same = compare_with_state(before, run)
    assert same is not None and (same.step, same.changed, same.ignored) == (3, (), ())
    other = dataclasses.replace(
        before.settings, reuse_fakes=True, lr=2e-4, init_type="normal", init_checkpoint="b", init_variance=0.5
    )
    found = compare_with_state(planned(other), run)
    assert found is not None
    assert found.changed == ("lr 0.001 -> 0.0002", "reuse_fakes False -> True")
    assert found.ignored == tuple(
        f"{given} (only at the beginning)" for given in ("init_type normal", "init_variance 0.5", "init_checkpoint b")
    )
    # Not to say again how it began takes nothing away.
    shorter = compare_with_state(planned(lr=1e-3), run)
    assert shorter is not None and (shorter.changed, shorter.ignored) == ((), ())


def test_what_decides_tensors_is_refused(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    saved(run, planned())
    with pytest.raises(UserError, match="held_out 0 -> 2; ngf 64 -> 8"):
        compare_with_state(planned(ngf=8, held_out=2), run)
    fewer = dataclasses.replace(planned(), pairs=PAIRS[1:])
    with pytest.raises(UserError, match="6 pairs -> 5"):
        compare_with_state(fewer, run)


def test_what_a_state_does_not_note_the_runs_last_plan_had_or_it_had_its_default(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    plan = planned(reuse_fakes=True, init_type="kaiming")
    noted = identity(plan)
    known = {
        name: value for name, value in noted.settings.items() if name not in ("network", "held_out", "reuse_fakes")
    }
    saved(run, plan, identity=dataclasses.replace(noted, settings=known), began={})
    by_default = compare_with_state(plan, run)
    assert by_default is not None and by_default.changed == ("reuse_fakes False -> True",)
    assert by_default.ignored == ("init_type kaiming (only at the beginning)",)
    plan.save(run.plan)
    by_plan = compare_with_state(plan, run)
    assert by_plan is not None and (by_plan.changed, by_plan.ignored) == ((), ())
    with pytest.raises(UserError, match="held_out 0 -> 5"):
        compare_with_state(planned(reuse_fakes=True, held_out=5), run)


def test_an_option_that_was_not_there_yet_had_its_default(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    plan = TrainPlan.load(OLD / "plan.json")
    saved(run, plan, identity=dataclasses.replace(identity(plan), settings={}), began={})
    shutil.copy(OLD / "plan.json", run.plan)
    now = dataclasses.replace(plan, settings=dataclasses.replace(plan.settings, augment="cutout", lambda_lecam=0.5))
    found = compare_with_state(now, run)
    assert found is not None and found.changed == ("augment none -> cutout", "lambda_lecam 0.0 -> 0.5")


@pytest.mark.parametrize("content", [None, "{", "[]", '{"format": 1, "model": {}, "sha256": {}, "about": {}}'])
def test_a_damaged_description_is_passed_over_and_said(tmp_path: Path, content: str | None) -> None:
    run = RunDir(tmp_path)
    for step in (3, 4):
        saved(run, planned(), step)
    description = run.states / "step-00000004" / native.DESCRIPTION
    description.unlink() if content is None else description.write_text(content)
    found = compare_with_state(planned(), run)
    assert found is not None and found.step == 3 and found.path == run.states / "step-00000003"
    assert len(found.damaged) == 1 and "step-00000004" in found.damaged[0]


def test_what_has_been_trained_is_not_begun_anew_without_a_word(tmp_path: Path) -> None:
    run = RunDir(tmp_path)
    assert compare_with_state(planned(), run) is None
    saved(run, planned())
    (run.states / "step-00000003" / native.DESCRIPTION).write_text("{")
    with pytest.raises(UserError, match="no state .* is whole .*resume=False"):
        compare_with_state(planned(), run)
    (run.states / "step-00000003").rename(run.states / "damaged-step-00000003")
    with pytest.raises(UserError, match="no state .* is whole.*resume=False"):
        compare_with_state(planned(), run)
    shutil.rmtree(run.states)
    assert compare_with_state(planned(), run) is None
    record.begin(run, Kind.TRAINING, State.FAILED, last_checkpoint="there")
    with pytest.raises(UserError, match="there.*resume=False"):
        compare_with_state(planned(), run)


@pytest.mark.parametrize(
    "change", [{"plan": {"settings": [1], "pairs": 1, "names": ""}}, {"began": [1]}, {"step": 1e999}]
)
def test_what_a_state_notes_may_be_anything(change: dict[str, Any]) -> None:
    noted = json.loads((OLD / "ecgan.json").read_text()) | change
    with pytest.raises(UserError, match="is not the state of a training"):
        Standing.of_state(OLD, noted)
