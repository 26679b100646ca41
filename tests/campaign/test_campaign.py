"""The campaign's own promises: cases are decided by seed and number, reports go on, and what is wrong is found out."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

import tests.campaign.__main__  # noqa: F401  registers the kinds of cases
from ecgan.errors import UserError
from tests.campaign import blows, kills
from tests.campaign.case import Case, Fault, kind_of
from tests.campaign.report import Outcome, Report
from tests.campaign.storage import spoil
from tests.campaign.work import Generation
from tests.campaign.world import HERE, Undisturbed
from tests.conftest import DataFolder


def test_a_case_is_its_seed_and_its_number(tmp_path: Path) -> None:
    one, same, other = (Case(1, number, "any", tmp_path) for number in (5, 5, 6))
    blow = blows.Blow.drawn(one.chance, True, 9.0)
    assert blow == blows.Blow.drawn(same.chance, True, 9.0) != blows.Blow.drawn(other.chance, True, 9.0)
    assert [kind_of(number, "slurm").where for number in range(40)] == ["slurm"] * 40
    assert len({kind_of(number, "here").name for number in range(40)}) > 10


def test_a_report_goes_on(tmp_path: Path) -> None:
    report = Report.open(tmp_path / "report.json", 1, "here")
    report.add(Outcome(3, "any", "held", ["one", "two"], 0, [], 1.5, "v"))
    report.add(Outcome(1, "any", "fault", ["three"], 0, [], 1.5, "v", "lost"))
    again = Report.open(tmp_path / "report.json", 1, "here")
    assert again.outcomes == report.outcomes and again.kills == 3
    assert again.by_kind()["any"] == {"cases": 2, "held": 1, "fault": 1, "not possible": 0, "kills": 3, "inputs": 0}
    with pytest.raises(UserError):
        Report.open(tmp_path / "report.json", 2, "here")


def test_what_is_spoiled_differs(tmp_path: Path) -> None:
    whole = bytes(range(1, 256)) * 20
    for seed in range(40):
        (tmp_path / "file").write_bytes(whole)
        how = spoil(tmp_path / "file", random.Random(seed))
        assert not (tmp_path / "file").exists() if how == "removed" else (tmp_path / "file").read_bytes() != whole


@pytest.mark.process
def test_a_killed_run_is_judged(tmp_path: Path, tiny_checkpoint: Path) -> None:
    data = DataFolder(tmp_path / "data", 6, tiny_checkpoint)
    plain = Generation(data, tmp_path / "plain", HERE)
    blows.run_to_the_end(plain)
    case = Case(1, 0, "smoke", tmp_path / "case")
    case.folder.mkdir()
    work, undisturbed = Generation(data, case.folder / "results", HERE), Undisturbed(plain.product(), 3.0)
    kills.kill_and_go_on(case, work, undisturbed, times=1)
    with open(work.output / "m003.jpg", "ab") as picture:
        picture.write(b"x")
    with pytest.raises(Fault):
        work.insist_on_whole(undisturbed.product)
