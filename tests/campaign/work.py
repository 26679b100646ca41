"""The three kinds of work that are disturbed, each with how to tell that nothing was lost and nothing came twice, and
that every byte is an undisturbed run's."""

from __future__ import annotations

import json
import sys
import time
from abc import ABC, abstractmethod
from collections import Counter
from pathlib import Path
from typing import Any

from ecgan.files import TEMPORARY_SUFFIX, sha256_of
from jobs.generate import outcomes
from jobs.generate.manifest import MANIFEST, read_manifest
from jobs.run.find import is_run
from jobs.run.folder import RunDir
from jobs.run.status import read_status
from slurm.processes.session import Session
from tests.campaign.case import insist
from tests.conftest import ROOT, DataFolder, ScoreFolder, TrainFolder

_ENDING = 20
#: What differs between two undisturbed runs.
_TIMES = ("time", "images_per_second", "created")


class Work(ABC):
    """A command that makes `output`. `options`: what may differ from the undisturbed run without changing a byte."""

    def __init__(self, output: Path, options: tuple[object, ...] = ()) -> None:
        self.output, self.options = output, options

    @property
    @abstractmethod
    def run(self) -> RunDir: ...

    @abstractmethod
    def command(self, *more: object) -> list[str]: ...

    @abstractmethod
    def kept(self) -> dict[str, Any]:
        """What is done for good: a later start takes it over, and makes none of it again."""

    @abstractmethod
    def product(self) -> dict[str, Any]:
        """All that must be equal to the undisturbed run's. Raises Fault if something is there twice."""

    @abstractmethod
    def insist_on_no_half(self, expected: dict[str, Any]) -> None:
        """After a kill: what is there under its final name is whole. `expected`: the undisturbed run's product."""

    def insist_on_record(self) -> None:
        """Once nothing of it runs any more, the record says so (what is ending lets go of the lock last)."""
        path, deadline = self.run.path, time.monotonic() + _ENDING
        while is_run(path) and not (status := read_status(path)).is_over:
            insist(time.monotonic() < deadline, f"nothing of it runs, and its state is {status.state}")
            time.sleep(0.1)

    def insist_on_whole(self, expected: dict[str, Any]) -> None:
        found = self.product()
        differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        insist(not differing, f"differs from the undisturbed run in {differing[:5]} ({len(differing)} such)")
        status = read_status(self.run.path)
        insist(status.state == "done", f"all is there, and its state is {status.state}")
        half = [str(path) for path in self.run.path.rglob(f".*{TEMPORARY_SUFFIX}")]
        insist(not half, f"half a file was left: {half[:3]}")


class Generation(Work):
    def __init__(self, data: DataFolder, output: Path, options: tuple[object, ...] = ()) -> None:
        super().__init__(output, options)
        self.data = data

    @property
    def run(self) -> RunDir:
        return RunDir(self.output.with_name(f"{self.output.name}.run"))

    def command(self, *more: object) -> list[str]:
        where = ("--input_path", self.data.path / "data/test", "--img_path", self.data.photos)
        return self.data.command(*where, "--output_path", self.output, *self.options, *more)

    def kept(self) -> dict[str, Any]:
        """A picture that was made again would have taken another time."""
        if not self.run.shards.is_dir():
            return {}
        return {name: each.seconds for name, each in outcomes.gather(self.run).items() if each.sha256}

    def product(self) -> dict[str, Any]:
        manifest = read_manifest(self.output)
        insist(manifest is not None, "the results have no manifest")
        assert manifest is not None
        digests = {name: entry["sha256"] for name, entry in manifest["images"].items()}
        files = {path.name: sha256_of(path) for path in self.output.iterdir() if path.name != MANIFEST}
        insist(files == digests, "files and manifest of the results differ")
        lines = [path.read_text().splitlines() for path in (self.run.done, *self.run.shards.glob("*.jsonl"))]
        names = Counter(json.loads(line)["name"] for each in lines for line in each)
        insist(set(names.values()) <= {1}, f"recorded twice: {[name for name, count in names.items() if count > 1]}")
        return digests

    def insist_on_no_half(self, expected: dict[str, Any]) -> None:
        if self.output.exists():
            files = {path.name: sha256_of(path) for path in self.output.iterdir() if path.name != MANIFEST}
            insist(files == expected, "the results folder is there, and is not whole")


class Scoring(Work):
    def __init__(self, data: ScoreFolder, output: Path, options: tuple[object, ...] = ()) -> None:
        super().__init__(output, options)
        self.data = data

    @property
    def run(self) -> RunDir:
        return RunDir(self.output)

    def command(self, *more: object) -> list[str]:
        data = self.data
        where = ("--results", data.results, "--input_path", data.path / "data/test", "--img_path", data.photos)
        judge = ("--aesthetic", data.path / "aesthetic.py", "--aesthetic_weights", data.path / "slow.txt")
        return data.command(*where, *judge, "--output_path", self.output, *self.options, *more)

    def kept(self) -> dict[str, Any]:
        return {path.name: path.stat().st_mtime_ns for path in self.output.glob("parts/[!.]*.npz")}

    def product(self) -> dict[str, Any]:
        score = json.loads((self.output / "score.json").read_text())
        rows = (self.output / "images.csv").read_text().splitlines()
        insist(len(rows) == len(set(rows)), "a picture is in images.csv twice")
        return _timeless(score) | {"images.csv": rows}

    def insist_on_no_half(self, expected: dict[str, Any]) -> None:
        if (self.output / "score.json").exists():
            insist(self.product() == expected, "score.json is there, and is not whole")


class Training(Work):
    def __init__(self, data: TrainFolder, output: Path, ranks: int, options: tuple[object, ...] = ()) -> None:
        super().__init__(output, options)
        self.data, self.ranks = data, ranks

    @property
    def run(self) -> RunDir:
        return RunDir(self.output)

    def command(self, *more: object) -> list[str]:
        return self.data.command("--run_dir", self.output, *self.options, *more)

    @property
    def states(self) -> list[Path]:
        return sorted(self.run.states.glob("step-*"))

    def kept(self) -> dict[str, Any]:
        """When the steps up to the last state were taken; a training that went back would take them again."""
        if not self.states or not self.run.metrics.is_file():
            return {}
        last = int(self.states[-1].name.removeprefix("step-"))
        lines = [json.loads(line) for line in self.run.metrics.read_text().splitlines() if line.endswith("}")]
        return {f"step {line['step']}": line["time"] for line in lines if line["step"] <= last}

    def product(self) -> dict[str, Any]:
        insist(self.states, "no state was left")
        digests = json.loads((self.states[-1] / "checkpoint.json").read_text())["sha256"]
        for name, digest in digests.items():
            insist(sha256_of(self.states[-1] / name) == digest, f"{name} is not what the state says of it")
        lines = [_timeless(json.loads(line)) for line in self.run.metrics.read_text().splitlines()]
        steps = [line["step"] for line in lines]
        insist(steps == list(range(1, len(steps) + 1)), f"the steps noted are {steps}")
        return digests | {f"metrics of step {line['step']}": line for line in lines}

    def insist_on_no_half(self, expected: dict[str, Any]) -> None:
        insist(all((state / "checkpoint.json").is_file() for state in self.states), "a state is not whole")

    def insist_on_whole(self, expected: dict[str, Any]) -> None:
        """Of shared memory, too: nothing of the ranks' is left there."""
        super().insist_on_whole(expected)
        name = Session.of(self.run.logs).name
        left = [folder for folder in (Path("/dev/shm"), Path("/tmp")) if (folder / name).exists()]
        insist(not left, f"Open MPI's files were left in {left}")


def _timeless(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in _TIMES}


def launch(command: str, *options: object) -> list[str]:
    """The command line of one of the project's commands."""
    return [sys.executable, str(ROOT / "launch" / f"{command}.py"), *map(str, options)]
