"""What Jittor needs: the start refuses what the doctor calls missing, in the same words."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from made_up_programs import distribution, first_on_path, program

from ecgan.errors import MachineError
from ecgan.runtime import programs, requirements
from launch.checks.requirements import rows
from launch.checks.rows import Row


def missing() -> Row:
    """The only row that the doctor has for what is missing."""
    [row] = [row for row in rows() if row.state == "missing"]
    return row


def refused() -> str:
    """What the start says here, by looking alone."""
    with pytest.raises(MachineError) as caught:
        requirements.insist()
    return str(caught.value)


def test_this_machine_has_all() -> None:
    requirements.insist()
    assert {row.state for row in rows()} == {"ok"}


def test_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("cc_path", "/nowhere/g++")
    assert "install g++" in missing().how
    assert refused() == f"C++ compiler: {missing().found}; {missing().how}"


def test_jittor_below_a_blank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(distribution(tmp_path / "my environment", "jittor", "1.3.11.0"))
    row = missing()
    assert row.name == "Jittor" and "my environment" in row.found and "elsewhere" in row.how
    assert refused() == f"Jittor: {row.found}; {row.how}"


def test_cache_below_a_blank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path / "my cache"))
    row = missing()
    assert row.name == "cache folder" and "my cache" in row.found and "ECGAN_CACHE" in row.how
    assert refused() == f"cache folder: {row.found}; {row.how}"


@pytest.mark.process
def test_start_refuses_before_it_does_anything(tmp_path: Path) -> None:
    cache = tmp_path / "my cache"
    environment = os.environ | {"ECGAN_CACHE": str(cache)}
    command = [sys.executable, "-m", "ecgan.runtime", "cpu"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith("error: cache folder: ")
    assert not cache.exists()


def test_requirement_appears_where_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requirements, "REQUIREMENTS", [*requirements.REQUIREMENTS])
    monkeypatch.setattr("launch.checks.requirements.REQUIREMENTS", requirements.REQUIREMENTS)

    @requirements.requirement("moon")
    def moon(thorough: bool) -> requirements.Finding:
        if not thorough:
            return requirements.Finding("new", "wait for another")
        raise RuntimeError("clouds")

    assert refused() == "moon: new; wait for another"
    assert rows()[-1] == Row("moon", "missing", "can't tell: RuntimeError: clouds")


def test_compiler_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("cc_path", raising=False)
    monkeypatch.setattr(programs, "PATIENCE", 1)
    program(first_on_path(tmp_path, monkeypatch), "g++", "exec sleep 60")
    started = time.monotonic()
    assert missing().found == "g++ did not answer within 1 s"
    assert time.monotonic() - started < 10
    requirements.insist()  # it only looks
