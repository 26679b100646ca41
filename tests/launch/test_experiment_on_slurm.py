"""An experiment's chains on Slurm, whose queue is a list here, and in which stages only pretend."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
import yaml
from conftest import Teller
from test_experiment import Folder, Pretended, other

from ecgan.errors import Unavailable, UserError
from jobs import stop
from jobs.experiment import progress
from jobs.run import attempts, clock, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.run.submission import Submission, SubmittedJob, forget, of_lane, read_submission
from launch import awaited, cancel, command, steps
from slurm import controller, sbatch
from slurm.scheduler import JobState
from slurm.script import Shape
from slurm.site import Site
from slurm.slurm import Slurm


class Queue:
    """Runs jobs whose dependency has ended, one after the other. `shapes`: of the steps that were submitted."""

    def __init__(self) -> None:
        self.jobs: dict[str, list[Callable[[], Any]]] = {}
        self.after: dict[str, Sequence[str]] = {}
        self.over: dict[str, State] = {}
        self.shapes: list[Shape] = []
        self.most_stages = 0

    def stand_in(self, monkeypatch: pytest.MonkeyPatch, command: type) -> None:
        """For Slurm; steps begin their commands as `command`."""
        monkeypatch.setattr(steps, "Command", command)
        monkeypatch.setattr(steps, "_TICK", 0.001)
        monkeypatch.setattr(steps, "AGAIN", 0.001)
        monkeypatch.setattr(awaited, "_AGAIN", 0.001)
        monkeypatch.setattr(sbatch, "enqueue", self.enqueue)
        monkeypatch.setattr(Slurm, "answers", lambda self: (True, "it answers"))
        monkeypatch.setattr(controller, "job_states", self.states)
        monkeypatch.setattr(controller, "cancel", self.cancel)
        for name in ("SLURM_JOB_ID", "OMP_NUM_THREADS"):
            monkeypatch.delenv(name, raising=False)

    def add(self, jobs: list[Callable[[], Any]], after: Sequence[str] = ()) -> str:
        id = str(100 + len(self.jobs))
        self.jobs[id], self.after[id] = jobs, after
        return id

    def enqueue(self, folder: Path, site: Site, shape: Shape, jobs: list[Any]) -> str:
        self.shapes.append(shape)
        if shape.after:  # by a step, in whose place what it submits must not think itself
            assert os.environ["SLURM_CONF"] == "there" and "SLURM_STEP_ID" not in os.environ
            assert "OMP_NUM_THREADS" not in os.environ and os.environ["PATH"]
        return self.add([supervised.job for supervised in jobs], shape.after)

    def states(self, ids: list[str]) -> dict[str, JobState]:
        known = {True: "COMPLETED", False: "PENDING"}
        return {id: JobState(id, known[id in self.over], self.over.get(id, State.RUNNING)) for id in ids}

    def cancel(self, ids: list[str]) -> tuple[bool, str]:
        self.over |= {id: State.CANCELLED for id in ids if id not in self.over}
        return True, ""

    def call(self, id: str) -> None:
        ours = {"SLURM_CONF": "there", "SLURM_STEP_ID": "0", "OMP_NUM_THREADS": "3"}
        with mock.patch.dict(os.environ, ours):
            for job in self.jobs[id]:
                job()

    def run(self, most: int = 1000) -> None:
        for _ in range(most):
            free = [id for id in self.jobs if id not in self.over and set(self.after[id]) <= self.over.keys()]
            if not free:
                return
            stages = [id for id in self.jobs if id not in self.over and self.jobs[id][0] in PretendedThere.stages]
            self.most_stages = max(self.most_stages, len(stages))
            self.call(free[0])
            self.over.setdefault(free[0], State.DONE)


class PretendedThere(Pretended):
    """Submits what the stage would make."""

    queue: Queue
    stages: list[Callable[[], Any]] = []
    words: dict[str, list[str]] = {}

    def __init__(self, module: str, options: Any, environment: Any, log: Path, **_: object) -> None:
        super().__init__(module, options, environment, log)
        assert "SLURM_STEP_ID" not in environment and "OMP_NUM_THREADS" not in environment
        self.words[self._stage] = list(options[2:])

    def _fail(self, reason: str) -> int:
        return super()._fail(reason) if reason.startswith("refused") else self._submit(reason)

    def _make(self) -> int:
        return super()._make() if self._stage == "gallery" else self._submit()

    def _submit(self, reason: str | None = None) -> int:
        name, kind = {
            "train": ("training", Kind.TRAINING),
            "generate": ("results.run", Kind.GENERATION),
            "score": ("results.score", Kind.SCORING),
        }[self._stage]
        run = RunDir(self._chain / name)
        run.create()
        record.begin(run, kind, State.SUBMITTED)

        def job() -> None:
            if reason:
                record.update(run, State.FAILED, error=reason)
            else:
                super(PretendedThere, self)._make()

        self.stages.append(job)
        Submission((SubmittedJob(self.queue.add([job]), "training"),)).save(run.submission)
        return 0


@pytest.fixture
def queue(monkeypatch: pytest.MonkeyPatch) -> Queue:
    found = PretendedThere.queue = Queue()
    Pretended.begun, Pretended.fails, Pretended.meanwhile, PretendedThere.stages = [], {}, {}, []
    found.stand_in(monkeypatch, PretendedThere)
    return found


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "with 'quotes'", variants={"a": None, "b": {"train": {"lr": 0.1}}}, seeds=[0, 1])


def told(folder: Folder) -> tuple[State, int | None, int | None]:
    found = record.read(RunDir(folder.home))
    return found.state, found.done, found.failed


def test_every_stage_is_begun_when_the_one_before_has_ended(folder: Folder, queue: Queue) -> None:
    done = folder.run()
    assert done.returncode == 0, done.stderr
    assert told(folder)[0] is State.SUBMITTED and not Pretended.begun and "job 100, 4 in an array" in done.stdout
    queue.run()
    assert told(folder) == (State.DONE, 16, None) and len(Pretended.begun) == 16
    for name in folder.chains():
        assert folder.states(name) == ["done"] * 4
    # A step waits for whatever it has submitted, however that ends, takes no device, and is one job.
    assert all(shape.gpus_per_node == 0 and shape.nodes == 1 for shape in queue.shapes)
    assert [shape.after for shape in queue.shapes if shape.after] and not queue.shapes[0].after
    assert folder.run("--table").returncode == 0 and folder.table()["a"]["state"] == "done"
    queue.shapes.clear()
    assert folder.run().returncode == 0 and not queue.shapes  # there is nothing to do


def test_so_many_chains_at_once_as_the_cap_says(folder: Folder, queue: Queue) -> None:
    folder.write(at_once=2)
    done = folder.run()
    assert "2 chain(s) at a time" in done.stdout
    queue.run()
    assert told(folder)[0] is State.DONE and queue.most_stages == 2


def test_a_chain_that_fails_there_stops_no_other_and_leaves_nothing_waiting(folder: Folder, queue: Queue) -> None:
    folder.write(at_once=1, variants={"a": None, "b": {"train": {"lr": 0.1}}, "c": {"train": {"lr": 0.2}}}, seeds=[0])
    Pretended.fails = {"train a": "diverged", "generate b": "refused: no room"}
    folder.run()
    queue.run()
    assert folder.states("a 0") == ["failed", "blocked", "blocked", "blocked"]
    assert folder.states("b 0") == ["done", "failed", "blocked", "blocked"]
    assert folder.states("c 0") == ["done"] * 4
    assert told(folder) == (State.INCOMPLETE, 5, 2) and set(queue.jobs) == set(queue.over)
    shown = other(folder, "status", "experiments/try").stdout
    assert "diverged" in shown and "refused: no room" in shown and "experiment, incomplete" in shown
    Pretended.begun, Pretended.fails = [], {}
    folder.run()
    queue.run()
    assert told(folder) == (State.DONE, 12, None)
    assert len([line for line in Pretended.begun if " c " in line]) == 0 and len(Pretended.begun) == 7


def test_a_step_that_comes_too_early_waits_again(folder: Folder, queue: Queue) -> None:
    """As when a training has been put back into the queue at the moment when its job seemed to have ended."""
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    queue.run(1)  # the first step, which submits the training
    [step] = [id for id in queue.jobs if queue.after[id]]
    queue.call(step)
    assert folder.states("a 0")[0] == "submitted" and Pretended.begun == ["train a seed-0"]
    queue.run()
    assert told(folder)[0] is State.DONE and Pretended.begun.count("train a seed-0") == 1


def test_a_step_that_was_killed_before_it_had_submitted_anything_does_it_again(folder: Folder, queue: Queue) -> None:
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    chain = folder.chains()["a 0"]
    chain.folder.mkdir(parents=True)
    progress.begin(chain, "train", chain.folder / "log")
    queue.run()
    assert told(folder)[0] is State.DONE


def test_a_step_that_is_put_back_behind_what_it_has_submitted_submits_nothing_more(
    folder: Folder, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once more with the next one, whose job has a number of its own, and whose lane has a submission that is older."""

    class Ticking(datetime):
        """A second goes by between any two looks."""

        ticks = itertools.count()

        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=next(cls.ticks))

    monkeypatch.setattr(clock, "datetime", Ticking)
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()

    def start(id: str) -> None:
        attempt = attempts.begin(RunDir(folder.home).attempts, "lane-0", job=id)
        monkeypatch.setenv(attempts.VARIABLE, str(attempt.path))
        queue.call(id)

    for expected in ("train", "generate"):
        [step] = [id for id in queue.jobs if id not in queue.over and queue.jobs[id][0] not in PretendedThere.stages]
        start(step)
        known = dict(queue.jobs)
        assert Pretended.begun[-1].startswith(expected)
        start(step)  # its node was lost
        assert queue.jobs == known
        queue.over[step] = State.DONE
        [stage] = [id for id in queue.jobs if id not in queue.over and queue.jobs[id][0] in PretendedThere.stages]
        queue.call(stage)
        queue.over[stage] = State.DONE
    monkeypatch.delenv(attempts.VARIABLE)
    queue.run()
    assert told(folder)[0] is State.DONE and len(Pretended.begun) == len(set(Pretended.begun))


def test_the_user_is_told_of_what_fails_and_once_at_the_end(folder: Folder, queue: Queue) -> None:
    site, teller = folder.path / "site.yaml", Teller(folder.path)
    site.write_text(yaml.safe_dump({"notify": teller.command}))
    folder.write(resources={"step": {"cluster_config": str(site)}}, seeds=[0])
    Pretended.fails = {"train a": "diverged", "generate b": "refused: no room"}
    folder.run()
    queue.run()
    failed, refused, whole = teller.told
    assert failed == ["failed", str(folder.home / "variants/a/seed-0/training"), failed[2]]
    assert failed[2].endswith("train of a, seed 0 failed: diverged") and "refused: no room" in refused[2]
    assert whole == ["incomplete", str(folder.home), "experiment try incomplete: 1 of 8 stages"]
    Pretended.fails = {}
    folder.run()
    queue.run()
    assert teller.told[3:] == [["done", str(folder.home), "experiment try done: 8 of 8 stages"]]
    words = {stage: " ".join(words) for stage, words in PretendedThere.words.items()}
    assert all("--notify none" in words[stage] for stage in ("train", "generate", "score"))
    folder.run("--notify", teller.command)  # which has nothing to do
    assert len(teller.told) == 4


def test_a_stage_whose_job_died_without_a_word_is_told_by_the_step_behind_it(folder: Folder, queue: Queue) -> None:
    teller = Teller(folder.path)
    folder.write(variants={"a": None}, seeds=[0])
    folder.run("--notify", teller.command)
    queue.run(1)
    [training] = [id for id, jobs in queue.jobs.items() if jobs[0] in PretendedThere.stages]
    queue.over[training] = State.DIED
    queue.run()
    assert [words[0] for words in teller.told] == ["died", "incomplete"]


def refuse_once(queue: Queue, monkeypatch: pytest.MonkeyPatch, error: UserError) -> list[Sequence[str]]:
    """The next job is; returns what it was to wait for, once it has been."""
    refused: list[Sequence[str]] = []

    def enqueue(folder: Path, site: Site, shape: Shape, jobs: list[Any]) -> str:
        if not refused:
            refused.append(shape.after)
            raise error
        return queue.enqueue(folder, site, shape, jobs)

    monkeypatch.setattr(sbatch, "enqueue", enqueue)
    return refused


@pytest.mark.parametrize("is_back", [False, True], ids=["away", "back when the step looks"])
def test_a_controller_that_is_away_for_a_while_costs_a_chain_nothing(
    folder: Folder, queue: Queue, monkeypatch: pytest.MonkeyPatch, is_back: bool
) -> None:
    """It gives no answer to the command of the first stage, nor to a step that submits the next one: when they have
    failed it gives none either, or else they say so themselves."""
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    Pretended.fails = {"train a": "refused: no answer"}
    no_answer = "sbatch did not take the job: no answer"
    refused = refuse_once(queue, monkeypatch, (Unavailable if is_back else UserError)(no_answer))
    silent = [] if is_back else ["to the command", "still", "to the step"]

    def answers(_: Slurm) -> tuple[bool, str]:
        if silent and (len(silent) > 1 or refused):
            return False, silent.pop(0)
        Pretended.fails = {}
        return True, "it answers"

    if is_back:
        monkeypatch.setattr(Pretended, "code", command.NO_ANSWER)
    monkeypatch.setattr(Slurm, "answers", answers)
    queue.run()
    assert told(folder) == (State.DONE, 4, None) and refused != [()] and not silent
    assert Pretended.begun[:3] == ["train a seed-0"] * 2 + ["generate a seed-0"]


def test_a_step_that_is_to_end_asks_its_command_once(
    folder: Folder, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked again, it would leave off ending what it has submitted."""
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    asked: list[str] = []
    monkeypatch.setattr(PretendedThere, "ask_to_stop", lambda self: asked.append(self._stage))
    monkeypatch.setattr(stop, "requested", lambda: True)
    with pytest.raises(stop.Stopped):
        queue.run(1)
    assert asked == ["train"]


def test_half_of_a_submission_is_withdrawn_and_made_whole(folder: Folder, queue: Queue) -> None:
    """Of a command that was killed with its step when it had submitted the shards, and not the merge behind them."""
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    for _ in range(2):
        queue.run(1)  # the first step, and the training
    chain = folder.chains()["a 0"]
    progress.end(chain, "train", 0)
    progress.begin(chain, "generate", folder.home / "logs/log")
    run = chain.run("generate")
    assert run is not None
    run.create()
    record.begin(run, Kind.GENERATION, State.SUBMITTED)
    shards = queue.add([lambda: time.sleep(0)], ["never"])
    Submission((SubmittedJob(shards, "shards", 3),)).save(run.submission)
    queue.run()
    assert queue.over[shards] is State.CANCELLED and told(folder) == (State.DONE, 4, None)


def test_jobs_that_are_gone_without_a_word_are_a_failure_that_is_said(folder: Folder, queue: Queue) -> None:
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    queue.run(1)
    [training] = [id for id, jobs in queue.jobs.items() if jobs[0] in PretendedThere.stages]
    queue.over[training] = State.DIED
    queue.run()
    assert folder.states("a 0")[:2] == ["died", "planned"] and told(folder)[0] is State.INCOMPLETE


def test_all_of_it_is_cancelled_and_goes_on(folder: Folder, queue: Queue) -> None:
    folder.run()
    queue.run(1)
    assert not read_status(folder.home).is_over
    refused = folder.run()
    assert refused.returncode == 2 and "in use by Slurm job" in refused.stderr
    done = other(folder, "cancel", "experiments/try")
    assert done.returncode == 0, done.stderr
    assert set(queue.jobs) == set(queue.over)  # steps and what they had submitted
    assert read_status(folder.home).state is State.CANCELLED
    assert folder.states("a 0")[0] == "cancelled"
    assert folder.run().returncode == 0
    queue.run()
    assert told(folder)[0] is State.DONE


def test_one_variant_is_cancelled_there(folder: Folder, queue: Queue) -> None:
    folder.write(at_once=1)
    folder.run()
    queue.run(1)
    done = other(folder, "cancel", "experiments/try", "--variant", "a")
    assert done.returncode == 0, done.stderr
    queue.run()
    assert folder.states("b 1") == ["done"] * 4 and folder.states("a 1") == ["cancelled"] * 4
    assert folder.states("a 0")[0] == "cancelled" and told(folder)[:2] == (State.INCOMPLETE, 8)


def test_what_is_submitted_while_its_variant_is_cancelled_is_ended(folder: Folder, queue: Queue) -> None:
    folder.write(seeds=[0])
    folder.run()
    Pretended.meanwhile = {"train a": lambda: cancel.cancel_variant(RunDir(folder.home), "a")}
    queue.run()
    assert folder.states("a 0") == ["cancelled"] * 4 and folder.states("b 0") == ["done"] * 4
    assert not (folder.chains()["a 0"].training / "states").exists() and told(folder)[0] is State.INCOMPLETE


def test_what_a_step_submits_while_all_is_cancelled_is_ended(
    folder: Folder, queue: Queue, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.write(variants={"a": None}, seeds=[0])
    folder.run()
    Pretended.meanwhile = {"train a": lambda: cancel.cancel(RunDir(folder.home))}
    monkeypatch.setattr(stop, "requested", lambda: bool(PretendedThere.stages))  # its command has just submitted
    with pytest.raises(stop.Stopped):
        queue.run(1)
    assert len(queue.jobs) == 2 and set(queue.jobs) == set(queue.over)
    assert read_status(folder.home).state is State.CANCELLED


def test_resources_are_the_commands_options(folder: Folder, queue: Queue) -> None:
    site = folder.path / "site.yaml"
    site.write_text("gpus_per_node: 0\nmerge_partition: small\n")
    resources = {
        "train": {"cluster_config": str(site), "nodes": 2, "time": "10:00"},
        "generate": {"cluster_config": str(site), "array_parallelism": 3},
        "step": {"cluster_config": str(site)},
    }
    folder.write(resources=resources, train=folder.values["train"] | {"batch_size": 2}, seeds=[0], variants={"a": None})
    assert folder.run("--partition", "long").returncode == 0
    queue.run()
    words = {stage: " ".join(words) for stage, words in PretendedThere.words.items()}
    assert "--nodes 2 --time 10:00 --partition long" in words["train"] and "--cluster slurm" in words["train"]
    assert "--array_parallelism 3 --partition long" in words["generate"] and "--nodes" not in words["generate"]
    assert queue.shapes[0].partition == "small" and "--cluster" not in words["gallery"]


@pytest.mark.parametrize(
    ("resources", "named"),
    [
        ({"train": {"node": 2}}, "resources.train: node"),
        ({"generate": {"nodes": 2}}, "resources.generate: nodes"),
        ({"train": {"nodes": "two"}}, "resources.train.nodes"),
        ({"train": {"nodes": 0}}, "resources.train"),
        ({"train": {"partition": None}}, "resources.train.partition: has no value"),
        ({"step": {"cluster_config": ""}}, "resources.step.cluster_config: "),
        ({"step": {"cluster_config": "~nobody-here/a.yaml"}}, "resources.step.cluster_config: "),
        ({"score": {"cluster_config": "no.yaml"}}, "no.yaml"),
        ({"gallery": {}}, "resources.gallery"),
    ],
)
def test_resources_that_are_none_are_refused(folder: Folder, queue: Queue, resources: Any, named: str) -> None:
    folder.write(resources=resources)
    done = folder.run()
    assert done.returncode == 2 and named in done.stderr and folder.file.name in done.stderr, done.stderr
    assert not queue.jobs and not folder.home.exists()


def test_ranks_there_must_share_every_variants_batch(folder: Folder, queue: Queue) -> None:
    folder.write(resources={"train": {"nodes": 3}})
    done = folder.run()
    assert done.returncode == 2 and "a, b: train: --batch_size 2" in done.stderr
    ranks = {"a": {"train": {"ranks": 2}}, "b": {"train": {"ranks": 4}}}
    folder.write(resources={"train": {"nodes": 2}}, variants=ranks)
    done = folder.run()
    assert done.returncode == 2 and "\n  b: train: --ranks 4: there are 2" in done.stderr and not queue.jobs


def test_what_computes_there_is_what_the_stage_says(folder: Folder, queue: Queue, tiny_checkpoint: Path) -> None:
    painted = folder.values["generate"] | {"checkpoint": str(tiny_checkpoint), "precision": "bfloat16"}
    folder.write(train=None, score=None, generate=painted, variants={"a": None})
    assert folder.run().returncode == 0  # on a CPU, whatever else there is
    queue.run()
    folder.write(variants={"b": None}, generate=painted | {"device": "auto"})
    done = folder.run()
    assert done.returncode == 2 and "b: generate: --precision bfloat16" in done.stderr, done.stderr
    folder.write(resources={"generate": {"gpus_per_node": 0}})
    assert folder.run().returncode == 0


def test_lanes_keep_their_jobs_beside_the_first(tmp_path: Path) -> None:
    path = tmp_path / "submission.json"
    Submission((SubmittedJob("1", "step", 2),)).save(path)
    for lane in (0, 1, 0):
        Submission((SubmittedJob(f"1{lane}", "step"),)).save(of_lane(path, lane))
    found = read_submission(path)
    assert found and found.ids == ["1", "10", "11"]
    forget(path)
    assert read_submission(path) is None and not list(tmp_path.iterdir())
