"""The flow of sharded work, with a third kind of it that is defined here: counting the pixels of pictures."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, draw_photo
from PIL import Image

from ecgan.data.images import BadImage, read_photo
from ecgan.errors import UserError
from ecgan.files import write_json
from ecgan.progress import progress_bar
from ecgan.runtime.devices import DeviceChoice
from ecgan.runtime.requirements import Finding
from jobs.options import in_words, option
from jobs.run import attempts, record
from jobs.run.folder import RunDir
from jobs.run.kind import Kind
from jobs.run.progress import Progress
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.sharded import numbering
from jobs.sharded.finish import Finish
from jobs.sharded.settings import ShardedSettings
from jobs.sharded.shard import Share
from jobs.sharded.work import Remark, Request, Work
from launch import flow, on_this_machine
from launch.cancel import cancel
from launch.checks import schedulers
from launch.cluster_options import ClusterOptions
from launch.command import DONE, SOME_FAILED
from launch.scheduler import with_scheduler
from slurm.processes import resources
from slurm.processes.pool import LocalPool
from slurm.scheduler import Batch, Cluster, JobState, Scheduler
from slurm.schedulers import SCHEDULERS


@dataclass(frozen=True)
class PixelSettings(ShardedSettings):
    pictures: str = option("pictures", "folder of the pictures")
    shards: int = option(1, "parts into which they are split")
    cluster: str = option("local", "where to run")
    device: DeviceChoice = option("cpu", "what to compute on")


@dataclass(frozen=True)
class PixelRequest(Request):
    settings: PixelSettings
    names: tuple[str, ...]

    def remember(self) -> None:
        self.run.checked.write_text("notes")


def check(settings: PixelSettings, device: str | None) -> PixelRequest:
    folder = Path(settings.pictures)
    names = tuple(sorted(path.name for path in folder.iterdir()))
    if not names:
        raise UserError("there are no pictures", field="pictures", value=folder)
    return PixelRequest(RunDir(folder.with_name(folder.name + ".pixels")), settings, names)


class PixelShare(Share[str]):
    kept = "what is counted is kept"

    def __init__(self, run: RunDir, number: int) -> None:
        self._run, self._plan = run, json.loads(run.plan.read_text())
        self.items = [name for name, shard in self._plan["shards"].items() if shard == number]

    def left(self) -> list[str]:
        return [name for name in self.items if not counted(self._run, name).exists()]

    def load(self) -> None:
        print(f"{self._run.path.name}: this is {__file__}, flow {flow.__file__}")

    def make(self, items: Sequence[str], progress: Progress) -> bool:
        for name in items:
            try:
                picture = read_photo(Path(self._plan["pictures"]) / name)
            except BadImage:
                progress.count(failed=1)
                continue
            attempts.insist_on_newest()
            write_json(counted(self._run, name), picture.shape[0] * picture.shape[1])
            progress.count(done=1)
        return True


@dataclass(frozen=True)
class PixelFinish(Finish):
    def __call__(self) -> int:
        run = RunDir(self.run_dir)
        names = json.loads(run.plan.read_text())["shards"]
        counts = [json.loads(file.read_text()) for name in names if (file := counted(run, name)).exists()]
        write_json(run.path / "total.json", sum(counts))
        record.update(run, State.DONE, done=len(counts), failed=len(names) - len(counts))
        return len(names) - len(counts)

    def lack(self, count: int) -> str:
        return f"{count} picture(s) could not be counted"


@dataclass(frozen=True)
class Counting(Work):
    request: PixelRequest
    numbers: dict[str, int | None]

    kind, share = Kind("counting"), PixelShare

    def describe(self, where: Sequence[Remark]) -> list[Remark]:
        return [("pictures", f"{self.total}: {self.done} counted already"), *where]

    def lay_out(self) -> None:
        for file in self.run.shards.glob("*.json"):
            file.unlink()
        folder = str(Path(self.request.settings.pictures).absolute())
        write_json(self.run.plan, {"pictures": folder, "shards": self.numbers})

    def finish(self) -> PixelFinish:
        return PixelFinish(self.run.path)


def check_ahead(settings: PixelSettings, awaited: Path) -> RunDir:
    return run_of(Path(settings.pictures))


def examine(request: PixelRequest) -> Counting:
    todo = [not counted(request.run, name).exists() for name in request.names]
    numbers = numbering.numbered(todo, request.settings.shards)
    total, shards = len(request.names), numbering.count(numbers)
    by_name = dict(zip(request.names, numbers, strict=True))
    return Counting(request.run, total, total - sum(todo), shards, "cpu", 1 << 20, request, by_name)


def counted(run: RunDir, name: str) -> Path:
    return run.path / f"{name}.json"


# And that is all. What follows is what the flow makes of it.


@pytest.fixture
def pictures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Five of 3x2 pixels; jobs are pickled by reference, so workers must find this file."""
    folder = tmp_path / "the pictures"
    folder.mkdir()
    for number in range(5):
        Image.fromarray(draw_photo(number, (3, 2))).save(folder / f"{number}.png")
    here = Path(__file__).parent
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, here, here.parent))))
    return folder


def count(pictures: Path, *options: object) -> int:
    arguments = ["--pictures", str(pictures), *map(str, options)]
    return flow.run(Counting.kind, PixelSettings, check, check_ahead, examine, "Counts pixels.", arguments)


def known(pictures: Path) -> record.RunRecord:
    return record.read(run_of(pictures))


def run_of(pictures: Path) -> RunDir:
    return RunDir(pictures.with_name(pictures.name + ".pixels"))


def total(pictures: Path) -> int:
    return int(json.loads((run_of(pictures).path / "total.json").read_text()))


def test_a_third_kind_runs_in_the_pool(pictures: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert count(pictures, "--shards", 3, "--workers", 2) == DONE
    assert run_of(pictures).checked.read_text() == "notes"
    assert total(pictures) == 5 * 3 * 2
    told = known(pictures)
    assert (told.kind, told.state, told.done, told.total) == ("counting", State.DONE, 5, 5)
    assert "workers     2 on this machine (cpu)" in capsys.readouterr().out
    assert len(list(run_of(pictures).shards.glob("*.json"))) == 3

    Image.fromarray(np.zeros((9, 9, 3), np.uint8)).save(pictures / "5.png")
    assert count(pictures, "--shards", 3) == DONE and total(pictures) == 5 * 6 + 81
    assert "6: 5 counted already" in capsys.readouterr().out


def test_the_bar_counts_what_the_kind_makes(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    units = []

    def bar(total: int, title: str, unit: str, initial: int) -> Any:
        units.append(unit)
        return progress_bar(total, title, unit, initial=initial)

    monkeypatch.setattr(on_this_machine, "progress_bar", bar)
    monkeypatch.setattr(LocalPool, "run", lambda pool, jobs, tick: [])
    monkeypatch.setitem(vars(Counting.kind), "unit", "pixel")
    count(pictures, "--no_snapshot")
    assert units == ["pixel"]


@pytest.mark.parametrize(
    "free, options, told",
    [
        (0, (), "a process may take 1 MiB of memory, 0 MiB are free$"),
        (2 << 20, ("--workers", 3), "--workers 3: a process may take 1 MiB of memory, 2 MiB are free; --workers 2 fit"),
    ],
)
def test_without_memory_for_the_workers_nothing_begins(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, free: int, options: Sequence[object], told: str
) -> None:
    monkeypatch.setattr(resources, "available_memory", lambda: free)
    for dry_run in ((), ("--dry_run",)):
        with pytest.raises(UserError) as refused:
            count(pictures, "--shards", 5, *options, *dry_run)
        assert re.search(told, in_words(refused.value))
    assert not run_of(pictures).path.exists()


def test_what_is_refused_leaves_what_was_there(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "available_memory", lambda: 0)
    folder = run_of(pictures).path
    folder.mkdir()
    (folder / "theirs").touch()
    with pytest.raises(UserError):
        count(pictures)
    assert {path.name for path in folder.iterdir()} <= {"theirs", "lock"}


def test_a_folder_that_the_cluster_can_not_use_is_not_made(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(type(SCHEDULERS["slurm"]), "answers", lambda self: (True, "it answers"))
    odd = pictures.rename(tmp_path / "50%")
    for dry_run in ((), ("--dry_run",)):
        with pytest.raises(UserError, match="in its name on Slurm"):
            count(odd, "--cluster", "slurm", *dry_run)
    assert not run_of(odd).path.exists()


def test_workers_that_fit_are_taken(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resources, "available_memory", lambda: 3 << 19)
    assert count(pictures, "--shards", 5) == DONE


def test_what_fails_is_told_by_the_exit_status(pictures: Path) -> None:
    (pictures / "2.png").write_bytes(b"no picture")
    assert count(pictures, "--shards", 2) == SOME_FAILED
    told = known(pictures)
    assert (told.state, told.done, told.failed) == (State.DONE, 4, 1)


def test_a_dry_run_writes_nothing(pictures: Path) -> None:
    assert count(pictures, "--dry_run") == DONE
    assert not run_of(pictures).path.exists()


@pytest.mark.parametrize(
    "error, state, told",
    [
        (RuntimeError("ours"), State.FAILED, "RuntimeError: ours"),
        (UserError("yours"), State.FAILED, "yours"),
        (KeyboardInterrupt(), State.STOPPED, None),
    ],
)
def test_how_it_was_ended_is_recorded(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, state: State, told: str | None
) -> None:
    """A crash of our own is no stop, and what was made is still known."""

    def end(self: PixelFinish) -> int:
        raise error

    monkeypatch.setattr(PixelFinish, "__call__", end)
    with pytest.raises(type(error)):
        count(pictures)
    found = known(pictures)
    assert (found.kind, found.state, found.error, found.done, found.total) == ("counting", state, told, 5, 5)


@pytest.mark.parametrize("error, state", [(RuntimeError("ours"), State.FAILED), (KeyboardInterrupt(), State.STOPPED)])
def test_what_is_to_be_compiled_is_before_there_are_workers(
    pictures: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, state: State
) -> None:
    """By the command, on whose screen it shows; and how that ends is recorded."""

    def end(self: Counting) -> None:
        raise error

    monkeypatch.setattr(Counting, "compile", end)
    with pytest.raises(type(error)):
        count(pictures)
    found = known(pictures)
    assert (found.state, found.done, found.total) == (state, 0, 5) and not list(run_of(pictures).logs.iterdir())


def test_an_end_that_was_told_stays(pictures: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(self: PixelFinish) -> int:
        record.update(RunDir(self.run_dir), State.INCOMPLETE, missing=2)
        raise UserError("2 are missing")

    monkeypatch.setattr(PixelFinish, "__call__", end)
    with pytest.raises(UserError):
        count(pictures)
    assert known(pictures).state is State.INCOMPLETE


@pytest.mark.parametrize("option, is_copied", [("--snapshot", True), ("--no_snapshot", False)])
def test_workers_run_a_copy_of_the_code(pictures: Path, option: str, is_copied: bool) -> None:
    assert count(pictures, option) == DONE
    log = (run_of(pictures).logs / "worker-0.log").read_text()
    assert (f"flow {run_of(pictures).code / 'launch/flow.py'}" in log) is is_copied
    assert run_of(pictures).code.exists() is is_copied


def test_a_folder_that_pythonpath_can_not_name(
    tmp_path: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    odd = pictures.rename(tmp_path / f"odd{os.pathsep}name")
    assert count(odd) == DONE and total(odd) == 30
    assert "no snapshot of the code" in capsys.readouterr().err


def test_a_second_command_is_kept_out(pictures: Path) -> None:
    run_of(pictures).create()
    holding = "import sys; from pathlib import Path; from jobs.run import lock; from jobs.run.folder import RunDir\n"
    holding += "lock.take(RunDir(Path(sys.argv[1]))); print(flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", holding, str(run_of(pictures).path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None and other.stdout.readline()
        with pytest.raises(UserError, match=f"in use by process {other.pid}"):
            count(pictures)
        other.kill()


# And another scheduler: a class for it, one for its clusters, and its place among the schedulers.


@dataclass(frozen=True)
class DeskOptions:
    nodes: int | None = option(None, "Desk: how many sit there")  # Slurm's of that name is for trainings alone


class Desk(Scheduler):
    name, title, options = "desk", "Desk", DeskOptions
    checks = (("pencils", lambda: Finding("2")),)

    def __init__(self) -> None:
        self.jobs: dict[str, Batch] = {}
        self.given: Mapping[str, Any] = {}
        self.cancelled: list[str] = []

    def has_started_us(self) -> bool:
        return False

    def answers(self) -> tuple[bool, str]:
        return True, "it stands there"

    def cluster(self, path: Path | None, given: Mapping[str, Any]) -> Cluster:
        self.given = given
        return DeskCluster(self)

    def job_states(self, ids: Sequence[str]) -> dict[str, JobState]:
        standing = {id: State.CANCELLED if id in self.cancelled else State.RUNNING for id in ids}
        return {id: JobState(id, "LYING", standing[id]) for id in ids}

    def cancel(self, ids: Sequence[str]) -> tuple[bool, str]:
        self.cancelled += ids
        return True, ""


class DeskCluster(Cluster):
    nodes = ranks_per_node = at_once = threads = 1
    gpus_per_node, notify = 0, None

    def __init__(self, scheduler: Desk) -> None:
        self.scheduler = self.desk = scheduler
        self.settings = DeskOptions()

    def insist_on_usable(self, run: Path) -> None:
        pass

    def submit(self, run: Path, batch: Batch) -> str:
        self.desk.jobs[f"p{len(self.desk.jobs)}"] = batch
        return list(self.desk.jobs)[-1]

    def text(self, run: Path, batch: Batch) -> str:
        return f"please do {batch.name}"

    def would_accept(self, run: Path, batch: Batch) -> tuple[bool, str]:
        return True, "gladly"


@pytest.fixture
def desk(monkeypatch: pytest.MonkeyPatch) -> Desk:
    desk = Desk()
    monkeypatch.setitem(SCHEDULERS, desk.name, desk)
    monkeypatch.setattr(ClusterOptions, "choices", {"cluster": ("local", *SCHEDULERS)})
    monkeypatch.setattr(ClusterOptions, "along", [scheduler.options for scheduler in SCHEDULERS.values()])
    return desk


def test_another_scheduler_takes_work_shows_and_ends_it(
    pictures: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(pictures, "--cluster", "desk", "--shards", 3) == DONE
    assert [(batch.kind, len(batch.jobs), batch.after) for batch in desk.jobs.values()] == [
        ("shards", 3, ()),
        ("merge", 1, ["p0"]),
    ]
    run = run_of(pictures)
    assert known(pictures).state is State.SUBMITTED
    [shown] = with_scheduler([read_status(run.path)])
    assert (shown.state, shown.scheduler) == (State.SUBMITTED, ("p0 LYING", "p1 LYING"))
    for cluster in ("desk", "local"):
        with pytest.raises(UserError, match="in use by Desk job"):
            count(pictures, "--cluster", cluster)
    cancel(run)
    assert desk.cancelled == ["p0", "p1"]
    [shown] = with_scheduler([read_status(run.path)])
    assert shown.state is State.CANCELLED
    for batch in desk.jobs.values():
        for job in batch.jobs.values():
            job()
    assert total(pictures) == 30


def test_another_scheduler_is_asked_before_work_is_sent(
    pictures: Path, desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert count(pictures, "--cluster", "desk", "--dry_run") == DONE
    assert not desk.jobs and capsys.readouterr().out.count("checked: gladly") == 2
    names = [row.name for row in schedulers.rows()]
    assert names[-2:] == ["Desk", "pencils"]


def test_a_scheduler_gets_its_own_options_alone(
    pictures: Path, desk: Desk, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "options.yaml"
    file.write_text("partition: gpu\nnodes: 2\n")
    assert count(pictures, "--cluster", "desk", "--dry_run", "--config", file) == DONE
    assert desk.given == {"nodes": 2}
    assert "; without effect here: --partition\n" in capsys.readouterr().out
    with pytest.raises(UserError, match="^--partition: of no use to Desk"):
        count(pictures, "--cluster", "desk", "--dry_run", "--nodes", 2, "--partition", "gpu")


def test_an_option_of_two_schedulers_is_one(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        count(".", "--help")
    assert capsys.readouterr().out.count("\n  --nodes ") == 1
