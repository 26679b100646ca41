"""--after RUN_DIR: on Slurm, whose queue is a list here and whose jobs, but for steps, pretend; and waiting here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from conftest import ROOT, DataFolder, TrainFolder, draw_photo, in_process, wait_until
from PIL import Image
from test_experiment_on_slurm import Queue
from test_status import hold, made

from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.submission import Submission, SubmittedJob, read_submission
from launch import awaited
from slurm import controller
from slurm.script import Shape
from slurm.site import Site
from slurm.slurm import Slurm
from slurm.supervisor import Supervised


class InProcess:
    """A command that a step begins: the real one, here."""

    folder: Path
    begun: list[str] = []

    def __init__(self, module: str, options: Sequence[str], environment: Any, log: Path, whole: bool) -> None:
        self.begun.append(module.removeprefix("launch."))
        command = [sys.executable, ROOT / f"launch/{self.begun[-1]}.py", *options]
        with mock.patch.dict(os.environ, environment, clear=whole):
            assert attempts.VARIABLE not in os.environ and "SLURM_STEP_ID" not in os.environ
            done = in_process(command, self.folder)
        log.write_text(done.stdout + done.stderr)
        self.status = done.returncode

    def wait(self) -> int:
        return self.status


class Jobs(Queue):
    """`ends`: how a run ends whose jobs these are, by the name of its folder; else it makes what it should."""

    def __init__(self, checkpoint: Path) -> None:
        super().__init__()
        self.checkpoint = checkpoint
        self.ends: dict[str, State] = {}

    def enqueue(self, folder: Path, site: Site, shape: Shape, jobs: list[Any]) -> str:
        self.shapes.append(shape)
        return self.add([partial(self._begin, each, str(100 + len(self.jobs))) for each in jobs], shape.after)

    def _begin(self, supervised: Supervised, id: str) -> None:
        run = RunDir(supervised.folder)
        attempt = attempts.begin(run.attempts, supervised.unit, job=id)
        if supervised.unit == attempts.AFTER:
            with mock.patch.dict(os.environ, {attempts.VARIABLE: str(attempt.path)}):
                supervised.job()
        elif supervised.unit in (attempts.TRAINING, attempts.MERGE):
            self._end(run)
        attempt.note(outcome=State.DONE)

    def _end(self, run: RunDir) -> None:
        state = self.ends.get(run.path.name, State.DONE)
        if state.is_success:
            if run.path.suffix == ".run":
                run.path.with_suffix("").mkdir()
                for index in range(3):
                    Image.fromarray(draw_photo(index)).save(run.path.with_suffix("") / f"m{index:03}.jpg")
            elif run.path.name == "a":
                shutil.copytree(self.checkpoint, run.states / "step-00000006", dirs_exist_ok=True)
        record.update(run, state, error=None if state.is_success else "it was not to be")

    def after_of(self, run: Path) -> list[list[str]]:
        found = read_submission(RunDir(run).submission)
        return [list(self.after[id]) for id in found.ids] if found else []


class Desk:
    """A folder with data, in which commands are given."""

    def __init__(self, path: Path, queue: Jobs) -> None:
        self.masks, self.pairs = DataFolder(path, 3, path / "runs/a"), TrainFolder(path, 4)
        self.path, self.queue, InProcess.folder = path, queue, path

    def launch(self, name: str, *options: object) -> subprocess.CompletedProcess[str]:
        return in_process([sys.executable, ROOT / f"launch/{name}.py", *options], self.path)

    def train(self, *options: object, run: str = "a") -> subprocess.CompletedProcess[str]:
        command = self.pairs.command("--run_dir", self.path / "runs" / run, *options)
        return in_process([*command[:2], "--cluster", "slurm", *command[2:]], self.path)

    def generate(self, *options: object) -> subprocess.CompletedProcess[str]:
        return self.masks.in_process("--cluster", "slurm", "--checkpoint", "runs/a", "--shards", 2, *options)

    def score(self, *options: object) -> subprocess.CompletedProcess[str]:
        return self.launch("score", "--cluster", "slurm", "--device", "cpu", *options)

    def state(self, name: str) -> State:
        return read_status(self.path / name).state

    def ids(self, name: str) -> list[str]:
        found = read_submission(RunDir(self.path / name).submission)
        assert found is not None
        return found.ids


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch, tiny_checkpoint: Path) -> Jobs:
    found = Jobs(tiny_checkpoint)
    InProcess.begun = []
    found.stand_in(monkeypatch, InProcess)
    return found


@pytest.fixture
def desk(tmp_path: Path, queue: Jobs) -> Desk:
    return Desk(tmp_path / "with 'quotes'", queue)


def test_three_commands_at_once_go_on_one_after_the_other(desk: Desk, queue: Jobs) -> None:
    assert desk.train().returncode == 0
    generated = desk.generate("--after", "runs/a")
    assert generated.returncode == 0 and "step: job 101" in generated.stdout, generated.stderr
    scored = desk.score("--after", "results")  # which is not there yet, but has a run
    assert scored.returncode == 0, scored.stderr
    assert queue.after_of(desk.path / "results.run") == [["100"]]
    assert queue.after_of(desk.path / "results.score") == [["101"]]
    assert all(shape.gpus_per_node == 0 and shape.nodes == 1 for shape in queue.shapes[1:])
    assert desk.state("results.run") is State.SUBMITTED and not InProcess.begun
    shown = desk.launch("status", "results.run").stdout
    assert f"waits for {desk.path / 'runs/a'}\n" in shown
    again = desk.generate("--after", "runs/a")
    assert again.returncode == 2 and "in use by Slurm job(s) 101" in again.stderr
    queue.run(2)  # the training, and the step behind it
    assert InProcess.begun == ["generate"] and queue.after_of(desk.path / "results.run") == [[], ["103"]]
    assert "waits for" not in desk.launch("status", "results.run").stdout
    queue.run()
    assert [desk.state(name) for name in ("results.run", "results.score")] == [State.DONE] * 2
    assert InProcess.begun == ["generate", "score"] and set(queue.jobs) == set(queue.over)
    # It waited for the step, and then for all that this had submitted.
    assert sum(list(each) == ["103", "104"] for each in queue.after.values()) == 1


@pytest.mark.parametrize("end", [State.FAILED, State.INCOMPLETE, State.CANCELLED])
def test_what_waits_for_a_run_that_ends_ill_is_blocked(desk: Desk, queue: Jobs, end: State, tmp_path: Path) -> None:
    (tmp_path / "tell").write_text(f'#!/bin/sh\necho "$1 $2" >> "{tmp_path}/told"\n')
    (tmp_path / "tell").chmod(0o755)
    (tmp_path / "site.yaml").write_text(f"notify: {tmp_path}/tell\n")
    queue.ends["a"] = end
    desk.train()
    desk.generate("--after", "runs/a", "--cluster_config", tmp_path / "site.yaml")
    desk.score("--after", "results.run")
    queue.run()
    assert set(queue.jobs) == set(queue.over) and not InProcess.begun
    for name, other in (("results.run", "runs/a"), ("results.score", "results.run")):
        status = read_status(desk.path / name)
        assert status.state is State.BLOCKED and str(desk.path / other) in (status.error or "")
    assert f": {end}: it was not to be" in (read_status(desk.path / "results.run").error or "")
    assert (tmp_path / "told").read_text() == f"blocked {desk.path / 'results.run'}\n"
    late = desk.generate("--after", "runs/a")
    assert late.returncode == 1 and f"{desk.path / 'runs/a'} did not end well: {end}" in late.stderr
    queue.ends, before = {}, len(queue.jobs)
    desk.train()
    assert desk.generate("--after", "runs/a").returncode == 0
    queue.run()
    assert desk.state("results.run") is State.DONE and len(queue.jobs) == before + 4


def test_a_job_that_is_gone_without_a_word_has_ended_ill(desk: Desk, queue: Jobs) -> None:
    desk.train()
    desk.generate("--after", "runs/a")
    queue.over["100"] = State.DIED
    queue.run()
    assert desk.state("results.run") is State.BLOCKED


def test_a_run_that_is_queued_again_is_waited_for_again(desk: Desk, queue: Jobs) -> None:
    desk.train()
    desk.generate("--after", "runs/a")
    queue.call("101")
    queue.over["101"] = State.DONE
    assert desk.ids("results.run") == ["102"] and queue.after_of(desk.path / "results.run") == [["100"]]
    assert desk.state("results.run") is State.SUBMITTED and not InProcess.begun
    queue.run()
    assert desk.state("results.run") is State.DONE and InProcess.begun == ["generate"]


def test_a_silent_scheduler_is_asked_again_before_an_end_is_believed(
    desk: Desk, queue: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The training has been preempted, and is in the queue again, which only the scheduler knows."""
    desk.train()
    desk.generate("--after", "runs/a")
    run = RunDir(desk.path / "runs/a")
    attempts.begin(run.attempts, attempts.TRAINING, job="100").note(outcome=State.STOPPED)
    record.update(run, State.STOPPED)
    assert read_status(run.path).state is State.STOPPED
    silent = [1, 2]
    monkeypatch.setattr(Slurm, "answers", lambda self: (not silent, str(silent and silent.pop())))
    monkeypatch.setattr(controller, "job_states", lambda ids: None if silent else queue.states(ids))
    queue.call("101")
    assert not silent and queue.after_of(desk.path / "results.run") == [["100"]] and not InProcess.begun


def test_what_is_wrong_on_the_node_is_told_by_the_run(desk: Desk, queue: Jobs) -> None:
    desk.train()
    desk.generate("--after", "runs/a")
    (desk.masks.photos / "photo1.jpg").unlink()
    queue.run()
    status = read_status(desk.path / "results.run")
    assert status.state is State.FAILED and "1 fault(s) in the input" in (status.error or "")
    assert "photo1.jpg" in Path(status.log or "").read_text() and set(queue.jobs) == set(queue.over)


def test_options_are_those_of_the_moment_when_it_was_submitted(desk: Desk, queue: Jobs) -> None:
    desk.train()
    site, options = desk.path / "site.yaml", desk.path / "options.yaml"
    site.write_text("merge_partition: long\ngpus_per_node: 0\n")
    options.write_text("seed: 7\nafter: runs/a\n")
    assert desk.generate("--config", options, "--cluster_config", site, "--time", 30).returncode == 0
    site.unlink()
    options.write_text("seed: 8\n")
    queue.run()
    assert desk.state("results.run") is State.DONE and queue.shapes[-1].partition == "long"
    assert '"seed": 7' in RunDir(desk.path / "results.run").plan.read_text()
    assert "time: '30'" in RunDir(desk.path / "results.run").cluster.read_text()


@pytest.mark.parametrize("whole", [True, False])
def test_a_step_that_was_killed_in_the_middle(desk: Desk, queue: Jobs, whole: bool) -> None:
    """What its command had submitted counts if that was all; else it is withdrawn and done again."""
    desk.train()
    desk.generate("--after", "runs/a")
    queue.run(1)
    jobs = [SubmittedJob(queue.add([]), "shards", 2)]
    jobs += [SubmittedJob(queue.add([], [jobs[0].id]), "merge")] if whole else []
    Submission(tuple(jobs)).save(RunDir(desk.path / "results.run").submission)
    queue.call("101")
    queue.over["101"] = State.DONE
    assert InProcess.begun == ([] if whole else ["generate"])
    assert queue.over.get(jobs[0].id) is (None if whole else State.CANCELLED)
    assert len(queue.jobs) == (4 if whole else 5)


def test_it_is_cancelled_and_given_again(desk: Desk, queue: Jobs) -> None:
    desk.train()
    desk.generate("--after", "runs/a")
    assert desk.launch("cancel", "results").returncode == 0
    assert desk.state("results.run") is State.CANCELLED and queue.over["101"] is State.CANCELLED
    queue.call("101")  # as if it had begun at that moment
    assert not InProcess.begun
    assert desk.generate("--after", "runs/a").returncode == 0
    queue.run()
    assert desk.state("results.run") is State.DONE


def test_a_training_after_another(desk: Desk, queue: Jobs) -> None:
    desk.train()
    later = desk.train("--init_checkpoint", "runs/a", "--after", "runs/a", "--no-resume", run="b")
    assert later.returncode == 0, later.stderr
    queue.run()
    assert not list((desk.path / "runs/b").glob("before-*"))
    status = read_status(desk.path / "runs/b")  # the first has saved networks of another size than this one trains
    assert status.state is State.FAILED and "--init_checkpoint" in (status.error or "")
    assert desk.train("--after", "runs/a", run="b").returncode == 0  # which has ended well: at once
    assert queue.shapes[-1].after == () and desk.state("runs/b") is State.SUBMITTED


def test_an_experiment_is_waited_for_with_all_its_lanes(desk: Desk, queue: Jobs) -> None:
    home = RunDir(desk.path / "experiments/try")
    home.create()
    record.begin(home, Kind.EXPERIMENT, State.RUNNING)
    Submission((SubmittedJob(queue.add([]), "step", 2),)).save(home.submission)
    Submission((SubmittedJob(queue.add([]), "step"),)).save(home.submission.with_name("submission.1.json"))
    queue.over["100"] = State.DONE
    lane = queue.add([])
    Submission((SubmittedJob(lane, "step"),)).save(home.submission.with_name("submission.0.json"))
    assert desk.train("--after", "experiments/try").returncode == 0
    assert queue.after_of(desk.path / "runs/a") == [["101", "102"]]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (["--after", "nowhere"], "--after nowhere"),
        (["--after", "data"], "--after data"),
        (["--after", "results.run"], "--after results.run"),
        (["--after", "runs/a", "--img_path", "nowhere"], "nowhere"),
        (["--after", "runs/a", "--checkpoint", "runs/b"], "runs/b"),
        (["--after", "runs/a", "--seed", "none"], "--seed"),
        (["--after", "runs/a", "--nodes", "2"], "--nodes"),
        (["--after", "runs/a", "--output_path", "data"], "--output_path"),
    ],
)
def test_what_is_known_to_be_wrong_is_refused_at_once(desk: Desk, queue: Jobs, options: list[str], named: str) -> None:
    desk.train()
    if named == "--after results.run":  # its own
        desk.generate("--after", "runs/a")
    before = set(queue.jobs), (desk.path / "results.run").exists()
    done = desk.generate(*options)
    assert done.returncode == 2 and named in done.stderr, done.stderr
    assert (set(queue.jobs), (desk.path / "results.run").exists()) == before


def test_masks_that_the_network_will_not_have_are_told_at_once(desk: Desk, queue: Jobs) -> None:
    desk.train()
    Image.new("L", (128, 64), 200).save(desk.masks.masks / "m001.png")
    done = desk.generate("--after", "runs/a")
    assert done.returncode == 2 and "1 fault(s) in the input" in done.stderr and "m001" in done.stderr


@pytest.mark.parametrize(
    ("options", "named"),
    [(["--results", "other"], "--results"), (["--aesthetic", "no.py"], "no.py"), (["--input_path", "no"], "no")],
)
def test_a_scoring_is_looked_at_before_its_pictures_are_there(
    desk: Desk, queue: Jobs, options: list[str], named: str
) -> None:
    desk.train()
    desk.generate("--after", "runs/a")
    done = desk.score("--after", "results", *options)
    assert done.returncode == 2 and named in done.stderr, done.stderr
    assert not (desk.path / "results.score").exists() and len(queue.jobs) == 2


def test_a_dry_run_shows_the_step(desk: Desk, queue: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.train()
    monkeypatch.setattr(controller, "would_accept", lambda script: (True, "gladly"))
    done = desk.generate("--after", "runs/a", "--dry-run")
    assert done.returncode == 0 and "#SBATCH --dependency=afterany:100\n" in done.stdout, done.stderr
    assert len(queue.jobs) == 1 and not (desk.path / "results.run").exists()


# Where no job can wait, the command does.


@pytest.mark.process
def test_it_begins_once_a_run_of_this_machine_has_ended(desk: Desk, queue: Jobs) -> None:
    """Its own run goes to Slurm."""
    child = hold(made(desk.path / "runs/a").path)
    shutil.copytree(queue.checkpoint, desk.path / "runs/a/states/step-00000006")
    assert child.stdin is not None
    threading.Timer(2, child.stdin.close).start()
    done = desk.generate("--after", "runs/a")
    assert done.returncode == 0 and f"{desk.path / 'runs/a'}: training, running, 1 of 9" in done.stdout, done.stderr
    assert [list(shape.after) for shape in queue.shapes] == [[], ["100"]] and "waiting for a" in done.stderr
    child.wait()


@pytest.mark.process
def test_ctrl_c_ends_the_waiting(tmp_path: Path) -> None:
    data = DataFolder(tmp_path, 1, tmp_path / "runs/a")
    child = hold(made(tmp_path / "runs/a").path)
    job = data.start("--cluster", "local", "--after", "runs/a")
    assert job.stdout is not None and job.stdout.readline().startswith("waits for")
    wait_until(lambda: job.stdout and job.stdout.readline().startswith("run "))
    job.send_signal(signal.SIGINT)
    _, errors = job.communicate(timeout=60)
    assert job.returncode == 130 and "Traceback" not in errors and not data.run.exists()
    child.kill()
    child.wait()


@pytest.mark.parametrize("state", [State.FAILED, State.STOPPED, State.INCOMPLETE, State.RUNNING])
def test_a_run_that_has_ended_ill_on_this_machine(
    tmp_path: Path, state: State, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(awaited, "_AGAIN", 0.001)
    data = DataFolder(tmp_path, 1, tmp_path)
    run = made(tmp_path / "runs/a", state)
    run.lock.touch()
    done = data.in_process("--cluster", "local", "--after", "runs/a")
    end = State.DIED if state.ends_unsaid else state
    assert done.returncode == 1 and f"{run.path} did not end well: {end}" in done.stderr and not data.run.exists()
