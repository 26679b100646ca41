"""Descriptions that a user hands over, with a folder from elsewhere: nested past any use, or no files at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ecgan.checkpoint import native
from ecgan.errors import UserError
from jobs.generate.manifest import MANIFEST, read_manifest
from jobs.generate.plan import GeneratePlan, saved_fingerprint
from jobs.run.values import read_object
from jobs.score.plan import ScorePlan
from jobs.train.plan import TrainPlan

Spoil = Callable[[Path], object]


@pytest.fixture(params=["nested lists", "nested objects", "FIFO"])
def spoil(request: pytest.FixtureRequest) -> Spoil:
    kinds: dict[str, Spoil] = {
        "nested lists": lambda path: path.write_text("[" * 100_000),
        "nested objects": lambda path: path.write_text('{"images":' * 100_000),
        "FIFO": os.mkfifo,
    }
    return kinds[request.param]


@pytest.mark.parametrize("load", [GeneratePlan.load, ScorePlan.load, TrainPlan.load])
def test_plans(tmp_path: Path, spoil: Spoil, load: Callable[[Path], object]) -> None:
    spoil(tmp_path / "plan.json")
    with pytest.raises(UserError, match=r"plan\.json"):
        load(tmp_path / "plan.json")


def test_checkpoints(tmp_path: Path, spoil: Spoil) -> None:
    spoil(tmp_path / native.DESCRIPTION)
    with pytest.raises(UserError, match=native.DESCRIPTION):
        native.describe(tmp_path)


def test_results(tmp_path: Path, spoil: Spoil) -> None:
    spoil(tmp_path / MANIFEST)
    assert read_manifest(tmp_path) is None
    with pytest.raises(UserError, match=MANIFEST):
        saved_fingerprint(tmp_path / MANIFEST)


def test_records_of_runs(tmp_path: Path, spoil: Spoil) -> None:
    spoil(tmp_path / "status.json")
    with pytest.raises((OSError, ValueError)):
        read_object(tmp_path / "status.json")
