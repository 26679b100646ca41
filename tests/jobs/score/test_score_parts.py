"""Plan, measurements and the end of a scoring one by one."""

from __future__ import annotations

import dataclasses
import json
import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from conftest import ROOT, TINY_SIZE, ScoreFolder

from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX, sha256_of, write_json
from ecgan.runtime import starting
from ecgan.scoring import terms
from ecgan.scoring.reading import Reading
from ecgan.scoring.terms import Seen, Term
from jobs.generate.manifest import MANIFEST
from jobs.results.numbers import read_numbers
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.score import measurements
from jobs.score.finish import ScoreFinish
from jobs.score.measurements import Measurements
from jobs.score.plan import Judges, ScorePart, ScorePlan, Subject, in_parts
from jobs.score.request import check
from jobs.score.settings import ScoreSettings
from jobs.score.shard import _load_measurer, _Measurer


def plan_of(count: int) -> ScorePlan:
    judges = Judges(None, None, None, None, (), 29, False, "cpu", None)
    subjects = [Subject(f"m{i}", f"m{i}.jpg", "1:1", f"m{i}.png", "r.jpg") for i in range(count)]
    parts = tuple(in_parts("pictures", subjects, judges.fingerprint()))
    return ScorePlan("results", judges, parts, (8, 6), None, 0, {}, ())


def measure(run: RunDir, part: ScorePart) -> None:
    records: list[dict[str, Any]] = [
        {"name": subject.name, "style_rgb": 0.5, "style_hsv": 0.25, "style_hue": None, "note": ""}
        for subject in part.subjects
    ]
    Measurements(records, [], np.zeros((0, 0), np.float32), np.zeros((0, 0))).save(run, part)


def settings_of(data: ScoreFolder, **more: Any) -> ScoreSettings:
    folders = {"results": data.results, "input_path": data.masks.parent, "img_path": data.photos}
    return ScoreSettings(**{name: str(path) for name, path in folders.items()}, device="cpu", **more)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "results.score")
    run.create(run.shards, run.parts)
    return run


def test_plan_comes_back_from_its_file(run: RunDir) -> None:
    plan = plan_of(40)
    assert [len(part.subjects) for part in plan.parts] == [16, 16, 8] and plan.total == 40 and plan.shards == 0
    sharded = plan.in_shards({plan.parts[0].key, plan.parts[2].key}, 8)
    assert [part.shard for part in sharded.parts] == [0, None, 1]
    odd = dataclasses.replace(sharded, segmenter_measured={"cross_entropy": math.nan}, missing=(("\udc80", "why"),))
    odd.save(run.plan)
    assert str(ScorePlan.load(run.plan)) == str(odd)
    sharded.save(run.plan)
    assert ScorePlan.load(run.plan) == sharded and ScorePlan.load(run.plan, 1).parts == sharded.parts[2:]


@pytest.mark.parametrize(
    "change",
    [{"size": "ab"}, {"photos": "many"}, {"judges": {}}, {"items": {"id": 5}}, {"missing": [[1, 2]]}],
)
def test_what_is_no_plan_is_told_to_the_user(run: RunDir, change: dict[str, Any]) -> None:
    plan_of(2).save(run.plan)
    run.plan.write_text(json.dumps(json.loads(run.plan.read_text()) | change))
    with pytest.raises(UserError, match=r"plan\.json"):
        ScorePlan.load(run.plan)


def test_parts_that_are_not_measured_leave_it_incomplete(run: RunDir) -> None:
    plan = plan_of(20)
    plan.save(run.plan)
    measure(run, plan.parts[1])
    record.begin(run, Kind.SCORING, State.MERGING, total=20)
    with pytest.raises(UserError, match="16 of 20 "):
        ScoreFinish(run.path)()
    known = record.read(run)
    assert (known.kind, known.state, known.done, known.missing) == ("scoring", State.INCOMPLETE, 4, 16)


def test_another_term_is_a_row_of_the_table(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(3)
    plan.save(run.plan)
    (part,) = plan.parts
    measure(run, part)
    assert measurements.is_whole(run, part, plan.judges)

    def read(seen: Seen) -> list[Reading]:
        return [Reading(float(seen.picture.mean()))]

    monkeypatch.setattr(terms, "TERMS", (*terms.TERMS, Term("grey", "grey level", read=read)))
    assert not measurements.is_whole(run, part, plan.judges)  # what is there lacks it
    levels = iter((0.25, 0.5, 0.75))
    measurer = _Measurer(plan.judges, cast(Any, None), None)
    rows = []
    for subject in part.subjects:
        picture = np.full((6, 8, 3), next(levels))
        seen = Seen(picture, np.zeros((6, 8), np.uint8), picture)
        rows.append({"name": subject.name} | measurer.numbers(seen))
    Measurements(rows, [], np.zeros((0, 0), np.float32), np.zeros((0, 0))).save(run, part)
    assert measurements.is_whole(run, part, plan.judges)
    finish = ScoreFinish(run.path)
    assert finish() == 0
    score = json.loads((run.score).read_text())
    assert score["grey"] == {"value": 0.5} and score["unknown"] == ["mask_accuracy", "aesthetic", "fid"]
    assert read_numbers(run.path)["m2"]["grey"] == 0.75
    assert any(line.split() == ["grey", "level", "0.5000"] for line in finish.outcome()[0])


def test_only_the_newest_end_writes(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = plan_of(3)
    plan.save(run.plan)
    measure(run, plan.parts[0])
    first = attempts.begin(run.attempts, attempts.MERGE)
    second = attempts.begin(run.attempts, attempts.MERGE)
    monkeypatch.setenv(attempts.VARIABLE, str(first.path))
    with pytest.raises(attempts.Superseded):
        ScoreFinish(run.path)()
    assert not [path for path in (run.score, run.numbers, run.status) if path.exists()]
    monkeypatch.setenv(attempts.VARIABLE, str(second.path))
    finish = ScoreFinish(run.path)
    assert finish() == 0
    lines, lacking = finish.outcome()
    assert lacking == 0 and any("0.5000" in line for line in lines)


@pytest.mark.parametrize("exchanged", ["inception", "segmenter", "aesthetic", "aesthetic_weights"])
@pytest.mark.parametrize("gone", [False, True])
def test_nothing_is_measured_by_what_was_not_planned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchanged: str, gone: bool
) -> None:
    """Parts are kept under keys that have the planned hashes."""
    file = tmp_path / f"{exchanged}.file"
    file.write_bytes(b"planned")
    files = dict.fromkeys(("inception", "segmenter", "aesthetic", "aesthetic_weights")) | {exchanged: str(file)}
    hashes = ((exchanged, sha256_of(file)),)
    judges = Judges(
        **files, hashes=hashes, label_nc=29, contain_dontcare_label=False, device="cpu", segmenter_size=None
    )
    file.unlink() if gone else file.write_bytes(b"another")
    monkeypatch.setattr(starting, "start", lambda device: pytest.fail("it began all the same"))
    with pytest.raises(UserError, match=file.name):
        _load_measurer(judges)


def test_what_the_results_lack_is_told_with_its_reason(tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path / "set", 3)
    (data.results / "m001.jpg").unlink()
    left_out = [{"name": "m001", "reason": "m001.png: truncated"}]
    fingerprint = {"size": list(TINY_SIZE)}
    write_json(data.results / MANIFEST, {"fingerprint": fingerprint, "images": {}, "left_out": left_out})
    plan = check(settings_of(data, on_bad_input="skip")).plan
    assert [subject.name for part in plan.of_kind("pictures") for subject in part.subjects] == ["m000", "m002"]
    ((name, reason),) = plan.missing
    assert name == "m001" and left_out[0]["reason"] in reason


#: `launch/score.py`, which dies where a file of that name would take its place.
_DIES = """
import os, sys
from pathlib import Path
name, replace = sys.argv.pop(1), os.replace
os.replace = lambda source, target: os._exit(9) if Path(target).name == name else replace(source, target)
from ecgan import file_notes
file_notes._TOO_NEW = 0
from launch.score import main
main()
"""


@pytest.mark.process
@pytest.mark.parametrize("name", ["checked.jsonl", "items.jsonl", "plan.json", "config.yaml"])
def test_a_scoring_killed_before_it_had_a_plan_can_be_begun_again(tmp_path: Path, name: str) -> None:
    data = ScoreFolder(tmp_path / "set", 3)
    run = RunDir(tmp_path / "set/results.score")
    command = [sys.executable, "-c", _DIES, name, *data.command("--no_snapshot")[2:]]
    killed = subprocess.run(command, cwd=data.path, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True)
    assert killed.returncode == 9, killed.stderr
    assert list(run.path.glob(f".*{TEMPORARY_SUFFIX}")) and not (run.path / name).exists()
    check(settings_of(data))

    (run.path / "theirs.txt").touch()
    if not run.plan.exists():
        with pytest.raises(UserError, match="something else"):
            check(settings_of(data))
