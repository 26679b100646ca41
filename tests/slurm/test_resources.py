"""What this machine has to give, where a job or a container may have less of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from slurm.processes import resources

MIB = 1 << 20


@pytest.fixture
def groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where control groups are; this process is in the group /job/step of version 2."""
    mine = tmp_path / "mine"
    mine.write_text("0::/job/step\n")
    monkeypatch.setattr(resources, "_CGROUPS", tmp_path)
    monkeypatch.setattr(resources, "_MY_CGROUPS", mine)
    return tmp_path


def write(group: Path, limit: str, usage: int, inactive: int = 0, version: int = 2) -> None:
    names = ("memory.max", "memory.current") if version == 2 else ("memory.limit_in_bytes", "memory.usage_in_bytes")
    group.mkdir(parents=True, exist_ok=True)
    for name, value in zip((*names, "memory.stat"), (limit, usage, f"anon 5\ninactive_file {inactive}"), strict=True):
        (group / name).write_text(f"{value}\n")


def test_a_machine_without_limits(groups: Path) -> None:
    write(groups / "job/step", "max", 5 * MIB)
    assert resources.available_memory() > 0


def test_a_limit_is_less_what_is_taken_but_for_cached_files(groups: Path) -> None:
    write(groups / "job/step", str(8 * MIB), 5 * MIB, inactive=2 * MIB)
    assert resources.available_memory() == 5 * MIB


def test_the_limit_of_a_group_around_it_counts(groups: Path) -> None:
    write(groups / "job/step", "max", 3 * MIB)
    write(groups / "job", str(4 * MIB), 3 * MIB)
    assert resources.available_memory() == MIB


def test_more_taken_than_the_limit_is_none_left(groups: Path) -> None:
    write(groups, str(4 * MIB), 5 * MIB)
    assert resources.available_memory() == 0


def test_version_1(groups: Path) -> None:
    """In a container its own group is the root, whatever it is called outside."""
    (groups / "mine").write_text("3:cpu,cpuacct:/elsewhere\n2:memory:/docker/1f\n")
    write(groups / "memory", str(8 * MIB), 5 * MIB, version=1)
    assert resources.available_memory() == 3 * MIB
