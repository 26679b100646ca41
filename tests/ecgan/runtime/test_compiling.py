"""Compiling in children, and what is told of one that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from conftest import commands, wait_until

from ecgan.errors import MachineError
from ecgan.runtime import compiling
from ecgan.runtime.compiling import compile_core, run_compiling, start_in_child


@pytest.mark.process
def test_output_of_a_failed_compilation_is_kept(tmp_path: Path) -> None:
    log = tmp_path / "logs" / "x.log"
    command = [sys.executable, "-c", "print('Compiling core(3/150)'); raise SystemExit('fatal error: no such header')"]
    with pytest.raises(MachineError, match="compiling x failed .*no such header.*x.log"):
        run_compiling(command, "compiling x", log)
    assert "Compiling core(3/150)" in log.read_text()


@pytest.mark.process
def test_jittor_that_rebuilt_itself_is_started_again(tmp_path: Path) -> None:
    """It ends the process with status 0 then, having done nothing."""
    log, count = tmp_path / "x.log", tmp_path / "count"
    rebuild = f"import sys; n = open({str(count)!r}, 'a+'); n.write('x'); n.flush(); n.seek(0)\n"
    rebuild += "len(n.read()) < 3 and print('jit_utils updated')"
    run_compiling([sys.executable, "-c", rebuild], "compiling x", log)
    assert count.read_text() == "xxx"


@pytest.mark.process
def test_child_says_why_it_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ECGAN_CACHE", str(tmp_path))
    monkeypatch.setenv("cc_path", "/nowhere/g++")
    for start in (start_in_child, compile_core):
        with pytest.raises(MachineError, match=r"cc_path is /nowhere/g\+\+"):
            start("cpu")


@pytest.mark.process
def test_interrupted_it_ends_all_that_it_has_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C that reaches this process alone, while a compiler of the child's child runs."""
    compiler = "import subprocess, sys; subprocess.run(['sleep', '0.7e3'])"
    command = [sys.executable, "-c", f"import subprocess, sys; subprocess.run([sys.executable, '-c', {compiler!r}])"]

    def running() -> list[int]:
        return [pid for pid, line in commands() if "0.7e3" in line]

    def interrupt(*_: object) -> None:
        wait_until(lambda: any(line.startswith("sleep 0.7e3") for _, line in commands()))
        raise KeyboardInterrupt

    monkeypatch.setattr(compiling, "_show_progress", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_compiling(command, "compiling x", tmp_path / "x.log")
    wait_until(lambda: not running())
