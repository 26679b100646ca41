"""The pool of worker processes, with jobs that are nothing but Python."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from rank_jobs import FillDisk

from ecgan.errors import UserError
from jobs import stop
from slurm.processes import resources
from slurm.processes.pool import ATTEMPTS, LocalPool
from slurm.processes.resources import environments


@dataclass
class Write:
    """Notes who ran it, with how many threads."""

    path: Path

    def __call__(self) -> None:
        self.path.write_text(f"{os.getpid()} {os.environ['OMP_NUM_THREADS']}")


@dataclass
class Fail:
    error: type[Exception]

    def __call__(self) -> None:
        raise self.error("because")


@dataclass
class Die:
    """Kills its own process as long as `lives` files are missing."""

    folder: Path
    lives: int

    def __call__(self) -> None:
        for life in range(self.lives):
            if not (self.folder / f"life{life}").exists():
                (self.folder / f"life{life}").touch()
                os.kill(os.getpid(), signal.SIGKILL)


@dataclass
class Wait:
    """Waits to be stopped; politely or not."""

    started: Path
    polite: bool

    def __call__(self) -> None:
        self.started.write_text(str(os.getpid()))
        while not (self.polite and stop.requested()):
            time.sleep(0.02)
        raise stop.Stopped


@pytest.fixture(autouse=True)
def _jobs_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Jobs are pickled by reference, so workers must find this file."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))


def pool(folder: Path, workers: int) -> LocalPool:
    return LocalPool(environments(workers, gpu_count=0), folder)


def nothing() -> None:
    pass


@pytest.mark.process
def test_jobs_queue_for_workers_and_keep_their_order(tmp_path: Path) -> None:
    outcomes = pool(tmp_path, 2).run([Write(tmp_path / str(number)) for number in range(7)], nothing)
    assert [outcome.state for outcome in outcomes] == ["done"] * 7
    ran = [(tmp_path / str(number)).read_text().split() for number in range(7)]
    assert len({process for process, _ in ran}) <= 2 and all(threads.isdigit() for _, threads in ran)


def test_gpus_are_dealt_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6,7")
    assert [share["CUDA_VISIBLE_DEVICES"] for share in environments(5, gpu_count=3)] == ["4", "6", "7", "4", "6"]
    assert all("CUDA_VISIBLE_DEVICES" not in share for share in environments(2, gpu_count=0))


@pytest.mark.parametrize(
    ("said", "given", "threads"),
    [("3", None, 3), ("3", 5, 3), ("4,2", None, 4), ("", 5, 5), ("none", None, 2), ("0", None, 2)],
)
def test_threads_are_those_that_the_user_has_said(
    monkeypatch: pytest.MonkeyPatch, said: str, given: int | None, threads: int
) -> None:
    monkeypatch.setattr(resources, "cores", lambda: 8)
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    assert resources.threads(4, given) == threads
    if given is None:
        assert [share["OMP_NUM_THREADS"] for share in environments(4, gpu_count=0)] == [str(threads)] * 4


@pytest.mark.process
def test_failure_of_one_job_is_its_own(tmp_path: Path) -> None:
    outcomes = pool(tmp_path, 1).run([Fail(ValueError), Write(tmp_path / "ran")], nothing)
    assert [outcome.state for outcome in outcomes] == ["failed", "done"]
    assert outcomes[0].message == "ValueError: because"
    assert "Traceback" in (tmp_path / "worker-0.log").read_text()


@pytest.mark.process
def test_job_that_no_worker_can_find_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PYTHONPATH")
    (outcome,) = pool(tmp_path, 1).run([Fail(ValueError)], nothing)
    assert outcome.state == "failed" and "No module named 'test_local_pool'" in outcome.message


@pytest.mark.process
def test_a_log_that_can_not_grow_ends_no_worker(tmp_path: Path, mount: Callable[[int], Path]) -> None:
    disk = mount(1)
    (disk / "logs").mkdir()
    full, other = pool(disk / "logs", 1).run([FillDisk(disk), Write(tmp_path / "ran")], nothing)
    assert (full.state, full.message) == ("failed", f"{disk / 'result'}: No space left on device")
    assert other.state == "done" and (tmp_path / "ran").exists()


@pytest.mark.process
def test_users_mistake_stops_all_without_traceback(tmp_path: Path) -> None:
    outcomes = pool(tmp_path, 1).run([Fail(UserError), Write(tmp_path / "ran")], nothing)
    assert [outcome.state for outcome in outcomes] == ["hopeless", "stopped"]
    assert not (tmp_path / "ran").exists()
    assert "Traceback" not in (tmp_path / "worker-0.log").read_text()


@pytest.mark.process
def test_job_survives_its_worker_but_not_for_ever(tmp_path: Path) -> None:
    for name in ("once", "always"):
        (tmp_path / name).mkdir()
    jobs = [Die(tmp_path / "once", 1), Die(tmp_path / "always", 99), Write(tmp_path / "ran")]
    once, always, other = pool(tmp_path, 2).run(jobs, nothing)
    assert once.state == "done" and len(list((tmp_path / "once").iterdir())) == 1
    assert always.state == "lost" and "SIGKILL" in always.message
    assert len(list((tmp_path / "always").iterdir())) == ATTEMPTS
    assert other.state == "done"


@pytest.mark.process
@pytest.mark.parametrize("polite", [True, False])
def test_interruption_ends_workers_in_time(tmp_path: Path, polite: bool) -> None:
    started = tmp_path / "started"

    def interrupt() -> None:
        if started.exists():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pool(tmp_path, 1).run([Wait(started, polite)], interrupt)
    assert not Path(f"/proc/{started.read_text()}").exists()
    assert time.time() - started.stat().st_mtime < 5
