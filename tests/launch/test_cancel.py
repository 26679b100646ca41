"""`launch/cancel.py` as a process; what it does with Slurm's jobs is in test_on_slurm.py."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT

from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.state import State

pytestmark = pytest.mark.process

CANCEL = ROOT / "launch" / "cancel.py"
HOLD = (
    "import sys; from pathlib import Path; from jobs.run import lock, record; from jobs.run.folder import RunDir\n"
    "from jobs.run.state import State; run = RunDir(Path(sys.argv[1])); lock.take(run)\n"
    "record.begin(run, 'generation', State.RUNNING, total=9); print('held', flush=True); sys.stdin.read()\n"
)


def cancel(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CANCEL), *map(str, words)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=600)


def test_the_folder_one_stands_in_need_not_be_a_run(tmp_path: Path) -> None:
    result = cancel(tmp_path, ".")
    assert result.returncode == 2 and "is not the folder of a run" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_run_on_this_machine_is_asked_to_stop(tmp_path: Path) -> None:
    results, run = tmp_path / "results", RunDir(tmp_path / "results.run")
    results.mkdir()
    run.create()
    command = [sys.executable, "-c", HOLD, str(run.path)]
    child = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "held\n"
    result = cancel(results, ".")
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(str(run.path)) and f"asked process {child.pid} to stop" in result.stdout
    assert child.wait(120) == -signal.SIGTERM
    child.communicate()
    record.update(run, State.STOPPED)
    again = cancel(run.path, ".")
    assert again.returncode == 0 and "nothing of it runs" in again.stdout, again.stderr
