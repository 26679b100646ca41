"""The cluster on one machine as a tool: idempotent, alone in its folder, nothing left behind."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import commands

from ecgan.errors import UserError
from slurm.devcluster import DevCluster, requirements


def tool(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "slurm.devcluster", words[0], "--folder", str(folder), *words[1:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=200)


def left(folder: Path) -> list[str]:
    return [command for _, command in commands() if str(folder) in command and "pytest" not in command]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short name, since sockets lie below it."""
    with tempfile.TemporaryDirectory(prefix="dev") as name:
        yield Path(name) / "c"


def test_up_status_kill_revive_down(folder: Path) -> None:
    assert tool(folder, "status").returncode == 1
    up = tool(folder, "up", "--nodes", "2", "--no-accounting")
    assert up.returncode == 0 and f"export SLURM_CONF={folder}/slurm.conf" in up.stdout, up.stderr
    try:
        again = tool(folder, "up", "--nodes", "2", "--no-accounting")
        assert again.returncode == 0 and f"export SLURM_CONF={folder}/slurm.conf" in again.stdout, again.stderr
        other = tool(folder, "up", "--nodes", "3", "--no-accounting")
        assert other.returncode == 2 and str(folder) in other.stderr and DevCluster(folder).state().status == "up"
        assert tool(folder, "kill-node", "n2").returncode == 0
        status = tool(folder, "status")
        assert status.returncode == 1 and DevCluster(folder).state().dead == ["n2"], status.stdout
        back = tool(folder, "revive-node", "n2")
        assert back.returncode == 0 and not DevCluster(folder).state().dead, back.stderr
        assert tool(folder, "status").returncode == 0
        assert tool(folder, "kill-node", "n7").returncode == 2
        assert tool(folder, "restart-controller").returncode == 0
        assert tool(folder, "status").returncode == 0
    finally:
        down = tool(folder, "down")
    assert down.returncode == 0 and not left(folder), left(folder)
    assert tool(folder, "down").returncode == 0


def test_folders_that_will_not_do(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (tmp_path, tmp_path / "with space", tmp_path / ("long" * 30), tmp_path / "mine.txt"):
        refused = tool(folder, "up")
        assert refused.returncode == 2 and f"--folder {folder}" in refused.stderr, refused.stderr
        assert "Traceback" not in refused.stderr
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_what_is_missing_is_named_with_how_to_get_it() -> None:
    with pytest.raises(UserError, match=r"slurmctld, munged.*apt-get install"):
        requirements.check(True, lambda name: None if name in ("slurmctld", "munged") else f"/usr/bin/{name}")
    with pytest.raises(UserError, match="--no-accounting"):
        requirements.check(True, lambda name: None if name == "mariadbd" else name)
    with pytest.raises(UserError, match="root"):
        requirements.check(False, lambda name: name, user=1000)


def test_what_goes_wrong_at_the_start_leaves_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Here the controller's configuration is spoiled."""
    from slurm.devcluster import config

    monkeypatch.setattr(config, "_CPUS", "many")
    with pytest.raises(UserError, match="slurmctld"):
        DevCluster(folder, nodes=1, accounting=False).up()
    assert not left(folder)
