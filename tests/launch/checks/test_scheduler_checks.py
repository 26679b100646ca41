"""What the doctor says of Slurm, as made-up commands of it answer."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from made_up_programs import first_on_path, program

from ecgan.runtime import programs
from launch.checks import schedulers as checks


def test_slurm_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = first_on_path(tmp_path, monkeypatch)
    monkeypatch.setattr(programs, "PATIENCE", 1)
    program(folder, "sinfo", "exec sleep 60")
    started = time.monotonic()
    [row] = checks.rows()
    assert row.state == "note" and "did not answer within 1 s" in row.found
    assert time.monotonic() - started < 10


def test_slurm_command_that_is_no_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = first_on_path(tmp_path, monkeypatch)
    (folder / "sinfo").write_bytes(b"\x7fELF for another machine")
    (folder / "sinfo").chmod(0o755)
    [row] = checks.rows()
    assert row.state == "note" and "Exec format error" in row.found


def test_slurm_that_answers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = first_on_path(tmp_path, monkeypatch)
    program(folder, "sinfo", "echo 'gpu* up infinite 4 idle n[1-4]'")
    program(folder, "srun", "printf 'MPI plugin types are...\\n\\tnone\\n\\tpmix\\n'")
    program(folder, "sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    slurm, pmix, sacct = checks.rows()
    assert slurm.state == "ok" and pmix.state == "ok"
    assert sacct.state == "note" and "accounting storage is disabled" in sacct.found

    program(folder, "srun", "printf 'MPI plugin types are...\\n\\tnone\\n\\tpmi2\\n'")
    _, pmix, _ = checks.rows()
    assert pmix.state == "note" and "none, pmi2" in pmix.found
