"""A real Slurm cluster for these tests, and scenes on it that overlap, since most of each is waiting."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT, DataFolder, TrainFolder, commands, wait_until

from slurm.controller import standing
from slurm.devcluster import DevCluster

#: At once; each has one or two jobs, and the machine few cores.
_AT_ONCE = 6
#: What every job here gets, whatever it is.
JOB = ("--cluster", "slurm", "--gpus_per_node", 0, "--cpus_per_task", 1, "--time", 20)

if os.environ.get("ECGAN_TEST_SLURM") != "1":
    collect_ignore_glob = ["test_*.py"]  # they need root and Slurm: make test-slurm


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.slurm)


class Stage:
    """The cluster, data to work on, and the commands of the project and of Slurm."""

    def __init__(self, cluster: DevCluster, folder: Path, data: TrainFolder, masks: DataFolder) -> None:
        self.cluster, self.folder, self.data, self.masks = cluster, folder, data, masks

    @property
    def environment(self) -> dict[str, str]:
        return os.environ | self.cluster.environment

    def run(self, *command: object, timeout: float = 600) -> subprocess.CompletedProcess[str]:
        words = [str(word) for word in command]
        return subprocess.run(words, env=self.environment, capture_output=True, text=True, timeout=timeout)

    def slurm(self, *command: object) -> str:
        """A command of Slurm that must succeed; what it says."""
        result = self.run(*command, timeout=60)
        assert result.returncode == 0, f"{command}: {result.stderr}"
        return result.stdout.strip()

    def train(self, name: str, *options: object) -> subprocess.CompletedProcess[str]:
        return self.run(*self.data.command("--run_dir", self.folder / name, *JOB, *options))

    def generate(
        self, name: str, *options: object, masks: DataFolder | None = None
    ) -> subprocess.CompletedProcess[str]:
        data = masks or self.masks
        where = ["--input_path", data.path / "data/test", "--img_path", data.photos]
        return self.run(*data.command(*where, "--output_path", self.folder / name, *JOB, *options))

    def launch(self, command: str, *options: object) -> subprocess.CompletedProcess[str]:
        return self.run(sys.executable, ROOT / "launch" / f"{command}.py", *options)

    def status(self, name: str) -> dict[str, Any]:
        result = self.launch("status", "--json", self.folder / name)
        assert result.returncode == 0, result.stderr
        return dict(json.loads(result.stdout)[0])

    def jobs(self, name: str) -> list[str]:
        return [job["id"] for job in json.loads((self.folder / name / "submission.json").read_text())["jobs"]]

    def state(self, job: str) -> str:
        """In Slurm's accounting, which knows jobs long after they have ended."""
        return self.slurm("sacct", "-X", "-n", "-P", "-o", "State", "-j", job).partition("\n")[0]

    def steps(self, name: str) -> list[int]:
        """The steps whose losses the run has noted."""
        try:
            lines = (self.folder / name / "metrics.jsonl").read_text().splitlines()
            return [json.loads(line)["step"] for line in lines]
        except (FileNotFoundError, ValueError):
            return []

    def attempts(self, name: str, unit: str = "training") -> list[dict[str, Any]]:
        found = []
        for path in sorted((self.folder / name / "attempts").glob(f"{unit}-*.json")):
            wait_until(lambda path=path: path.read_text(), 10)
            found.append(json.loads(path.read_text()))
        return found

    def digests(self, name: str) -> dict[str, str]:
        state = sorted((self.folder / name / "states").glob("step-*"))[-1]
        return dict(json.loads((state / "checkpoint.json").read_text())["sha256"])

    def wait_for_steps(self, name: str, count: int) -> None:
        wait_until(lambda: len(self.steps(name)) >= count, 300)

    def wait_until_over(self, name: str, seconds: float = 400) -> dict[str, Any]:
        deadline = time.monotonic() + seconds
        while not (status := self.status(name))["is_over"]:
            assert time.monotonic() < deadline, status
            time.sleep(2)
        return status

    def wait_until_gone(self, *jobs: str, seconds: float = 120) -> None:
        """Until Slurm runs nothing of `jobs` any more."""

        def gone() -> bool:
            lines = self.slurm("squeue", "--noheader", "--states=all", "--format=%A|%F|%T").splitlines()
            active = (line.split("|") for line in lines)
            return not any(standing(state).goes_on and {job, array} & set(jobs) for job, array, state in active)

        wait_until(gone, seconds)

    def preempt(self, job: str) -> str:
        """Sends a job of higher priority to the nodes of `job`, and returns its id."""
        nodes = self.slurm("squeue", "--noheader", "--format=%N", f"--jobs={job}")
        assert nodes
        return self.slurm(
            *("sbatch", "--parsable", "--partition=high", f"--nodelist={nodes}", "--cpus-per-task=4", "--time=5"),
            *("--output=/dev/null", "--wrap", "sleep 2"),
        )

    def wait_until_run(self, job: str) -> None:
        wait_until(lambda: self.state(job) == "COMPLETED", 200)

    def rank(self, name: str, number: int) -> int:
        """The process of a training's rank, by the place that srun gave it."""
        place = f"SLURM_PROCID={number}".encode()
        for process, command in commands():
            # What srun was told has that in it, too.
            is_rank = command.startswith(sys.executable) and "slurm.processes.rank" in command
            if is_rank and f"{self.folder / name}/" in command:
                with contextlib.suppress(OSError):  # it has just ended
                    if place in Path(f"/proc/{process}/environ").read_bytes().split(b"\0"):
                        return process
        raise AssertionError(f"rank {number} of {name} does not run")

    def processes(self, name: str) -> list[str]:
        """Command lines of what still works on a run."""
        return [command for _, command in commands() if f"{self.folder / name}/" in command and "slurm" in command]


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory, tiny_checkpoint: Path) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("cluster")
    data = TrainFolder(folder / "with 'quotes' and spaces", 9)
    masks = DataFolder(folder / "masks", 40, tiny_checkpoint)
    local = data.train("--cluster", "local", "--ranks", 2, "--max_steps", 40, run="undisturbed")
    assert local.returncode == 0, local.stderr
    with DevCluster(folder / "slurm", nodes=4) as cluster:
        yield Stage(cluster, data.path, data, masks)
    left = [command for _, command in commands() if str(folder) in command]
    assert not left, left


class Play:
    """Scenes that run at the same time; each test asks for the outcome of one."""

    def __init__(self) -> None:
        self._scenes: dict[str, Callable[[Stage], None]] = {}

    def scene(self, act: Callable[[Stage], None]) -> Callable[[Stage], None]:
        self._scenes[act.__name__] = act
        return act

    @property
    def names(self) -> list[str]:
        return list(self._scenes)

    def start(self, stage: Stage, pool: ThreadPoolExecutor) -> dict[str, Future[None]]:
        return {name: pool.submit(act, stage) for name, act in self._scenes.items()}


@pytest.fixture(scope="module")
def outcomes(request: pytest.FixtureRequest, stage: Stage) -> Iterator[dict[str, Future[None]]]:
    """Starts the module's `play`."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield request.module.play.start(stage, pool)
