"""The lock of a run, held by real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, wait_until

from ecgan.errors import UserError
from jobs.run import lock
from jobs.run.folder import RunDir
from jobs.run.lock import Holder

#: Takes the lock, hands it to a child, and tells the child's number.
HAND_ON = (
    "import subprocess, sys; from pathlib import Path; from jobs.run import lock; from jobs.run.folder import RunDir\n"
    "held = lock.take(RunDir(Path(sys.argv[1])))\n"
    "print(subprocess.Popen(['sleep', '60'], stdout=-3, pass_fds=[held]).pid, flush=True); sys.stdin.read()\n"
)


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    run = RunDir(tmp_path / "run", option="--run_dir")
    run.create()
    return run


def test_it_is_free_again_when_its_holder_lets_go(run: RunDir) -> None:
    assert lock.is_held(run) is False and lock.holder(run) == Holder()
    with lock.held(run):
        assert lock.is_held(run) is True
        with pytest.raises(UserError, match=f" {os.getpid()} .*{socket.gethostname()} .*--run_dir"):
            lock.take(run)
    assert lock.is_held(run) is False
    os.close(lock.take(run))


def test_a_folder_that_its_holder_took_away_is_not_taken(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever is refused after it has made the folder removes it, and others may wait for its lock by then."""
    monkeypatch.setattr("ecgan.files.lock", lambda *_: shutil.rmtree(run.path))
    with pytest.raises(UserError, match="just been removed"):
        lock.take(run)


@pytest.mark.process
def test_workers_hold_it_on(run: RunDir) -> None:
    command = [sys.executable, "-c", HAND_ON, str(run.path)]
    launcher = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert launcher.stdout is not None
    worker = int(launcher.stdout.readline())
    assert lock.holder(run).pid == launcher.pid and lock.holder(run).lives_here
    launcher.kill()
    launcher.communicate()
    assert lock.is_held(run) and not lock.holder(run).lives_here
    os.kill(worker, signal.SIGKILL)
    wait_until(lambda: lock.is_held(run) is False)


def test_a_holder_elsewhere_is_not_ours_to_judge(run: RunDir) -> None:
    run.lock.write_text(json.dumps({"pid": os.getpid(), "host": "elsewhere", "since": "…"}))
    assert lock.holder(run).is_elsewhere and not lock.holder(run).lives_here
    run.lock.write_text("{")
    assert lock.holder(run) == Holder() and not Holder().lives_here and not Holder().is_elsewhere
