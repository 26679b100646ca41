"""How many cores this process may use: one answer, wherever it is asked."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from ecgan import cores, threads


@pytest.mark.parametrize(
    ("quota", "left"), [("max 100000", 6), ("200000 100000", 2), ("50000 100000", 1), ("900000 100000", 6), (None, 6)]
)
def test_affinity_and_quota(quota: str | None, left: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: set(range(6)))
    monkeypatch.setattr(cores, "_CGROUP_CPU", tmp_path / "cpu.max")
    if quota is not None:
        (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert cores.cores() == left and threads.readers() == 2 * left
