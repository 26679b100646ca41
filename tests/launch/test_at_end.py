"""The user is told how a run on this machine has ended, by a command that is run for real; once, whatever that does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from conftest import DataFolder, Teller, TrainFolder, wait_until

pytestmark = pytest.mark.process


def test_a_generation_is_told_once(data_folder: Callable[[int], DataFolder], tmp_path: Path) -> None:
    """By the command in the cluster's file."""
    data, site = data_folder(3), tmp_path / "site.yaml"
    teller = Teller(tmp_path, "exit 1")
    site.write_text(yaml.safe_dump({"notify": teller.command, "partition": "gpu"}))
    options = ("--cluster", "local", "--cluster_config", site)
    job = data.generate(*options)
    assert job.returncode == 0 and "nobody was notified" in job.stdout, job.stderr  # which is all that its failure is
    assert teller.told == [["done", str(data.run), "generation results.run done: 3 of 3 pictures"]]
    assert data.in_process(*options).returncode == 0 and len(teller.told) == 1  # nothing is left to do
    wrong = data.in_process("--cluster", "local", "--notify", "tell 'us")
    assert wrong.returncode == 2 and "notify" in wrong.stderr


def test_what_is_missing_is_told_and_what_the_user_stops_is_not(
    data_folder: Callable[[int], DataFolder], tmp_path: Path
) -> None:
    data, teller = data_folder(60), Teller(tmp_path)
    job = data.start("--shards", 1, "--workers", 1, "--notify", teller.command)
    wait_until(lambda: data.made() or job.poll() is not None, 300)
    os.kill(job.pid, signal.SIGINT)
    assert job.wait(60) == 130 and not teller.told
    job = data.start("--shards", 1, "--workers", 1, "--notify", teller.command)

    def kill() -> bool:
        for worker in data.workers():
            os.kill(worker, signal.SIGKILL)
        return job.poll() is not None

    wait_until(kill)
    assert job.returncode == 1
    [[state, folder, text]] = teller.told
    assert (state, folder) == ("incomplete", str(data.run)) and text.startswith("generation results.run incomplete: ")


def test_a_training_is_told_once_and_a_failure_too(train_folder: Callable[[int], TrainFolder], tmp_path: Path) -> None:
    data, teller = train_folder(6), Teller(tmp_path)
    tell = ("--notify", teller.command)
    assert data.train("--max_steps", 2, *tell).returncode == 0
    run = str(data.path / "run")
    assert teller.told == [["done", run, "training run done: 2 of 2 steps"]]
    assert data.train("--max_steps", 2, *tell).returncode == 0 and len(teller.told) == 1  # nothing was left to do
    job = data.train("--lr", "1e30", "--max_steps", 50, *tell)
    assert job.returncode == 1 and teller.told[1][:2] == ["failed", run] and len(teller.told) == 2
    assert "not a number" in teller.told[1][2] or "inf" in teller.told[1][2] or "nan" in teller.told[1][2]


def test_who_does_not_want_to_wait_for_a_command_that_hangs_interrupts_it_alone(
    train_folder: Callable[[int], TrainFolder], tmp_path: Path
) -> None:
    data, teller = train_folder(6), Teller(tmp_path, "sleep 600")
    job = data.start("--max_steps", 1, "--notify", teller.command)
    wait_until(lambda: teller.told or job.poll() is not None, 300)
    os.kill(job.pid, signal.SIGINT)
    assert job.wait(20) == 0
