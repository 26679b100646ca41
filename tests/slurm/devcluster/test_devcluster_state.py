"""What a cluster on one machine remembers of itself."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgan.errors import UserError
from slurm.devcluster import processes, state
from slurm.devcluster.config import Settings
from slurm.devcluster.processes import Process
from slurm.devcluster.state import ClusterState

KNOWN = ClusterState(Settings(nodes=2, gpus=0), "up", {"n1": 17001}, {"n1": Process(7, 12345)})


def test_it_comes_back(tmp_path: Path) -> None:
    assert state.read(tmp_path / "state.json") == ClusterState(Settings())
    KNOWN.write(tmp_path / "state.json")
    assert state.read(tmp_path / "state.json") == KNOWN


def test_processes_do_not_outlive_the_machines_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KNOWN.write(tmp_path / "state.json")
    monkeypatch.setattr(processes, "boot", lambda: "another")
    found = state.read(tmp_path / "state.json")
    assert (found.status, found.processes, found.boot) == ("up", {}, "another")


@pytest.mark.parametrize("content", ["", "{}", '{"settings": {"nodes": "two"}}', '{"settings": {"nodes": 0}}'])
def test_what_is_no_state_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(UserError, match="delete the folder, then say down"):
        state.read(tmp_path / "state.json")
