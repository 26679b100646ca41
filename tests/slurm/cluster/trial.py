"""An experiment's file and folder on the tests' cluster."""

from __future__ import annotations

import json
import sys
from typing import Any

import yaml
from conftest import ROOT, wait_until

from cluster.conftest import Stage

SMALL = {"size": "64x32", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0, "batch_size": 4}


class Trial:
    """An experiment's file and folder on the cluster; `values`: what stands in the file beside the stages' data."""

    def __init__(self, stage: Stage, name: str, **values: Any) -> None:
        self.stage, self.name = stage, name
        self.home, self.file = stage.folder / name, stage.folder / f"{name}.yaml"
        data = {"input_path": str(stage.data.data), "device": "cpu"}
        data |= {"display_every_steps": 0, "print_every_steps": 1}
        masks = {"input_path": str(stage.masks.path / "data/test"), "img_path": str(stage.masks.photos)}
        self.values = values | {"folder": str(self.home), "train": SMALL | data | values.get("train", {})}
        self.values["generate"] = masks | {"device": "cpu", "shards": 2} | values.get("generate", {})

    def run(self, *options: object) -> None:
        self.file.write_text(yaml.safe_dump(self.values, sort_keys=False))
        job = self.stage.run(sys.executable, ROOT / "launch/experiment.py", self.file, *options)
        assert job.returncode == 0, job.stderr

    def part(self, variant: str, seed: int, what: str) -> str:
        return f"{self.name}/variants/{variant}/seed-{seed}/{what}"

    def states(self) -> dict[tuple[str, int], list[str]]:
        """Of each chain's stages, once all is over."""
        status = self.stage.wait_until_over(self.name)
        wait_until(lambda: not self._in_queue(), 120)
        return {
            (chain["variant"], chain["seed"]): [each["state"] for each in chain["stages"]] for chain in status["chains"]
        }

    def made(self, variant: str, seed: int) -> list[str]:
        """The pictures that the newest plan's shards have noted, as often as they have."""
        records = (self.stage.folder / self.part(variant, seed, "results.run")).glob("shards/*.jsonl")
        return sorted(json.loads(line)["name"] for path in records for line in path.read_text().splitlines())

    def attempts(self) -> dict[str, str]:
        """The records of all attempts at all units of all stages."""
        return {str(path): path.read_text() for path in sorted(self.home.glob("variants/*/*/*/attempts/*.json"))}

    def _in_queue(self) -> set[str]:
        """Jobs of its own and of its stages."""
        files = [*self.home.glob("submission*.json"), *self.home.glob("variants/*/*/*/submission.json")]
        ids = {job["id"] for file in files for job in json.loads(file.read_text())["jobs"]}
        return ids & {line.split("_")[0] for line in self.stage.slurm("squeue", "-h", "-o", "%i").splitlines()}


def site(stage: Stage, name: str, **values: object) -> dict[str, str]:
    """Resources: a cluster's file with those values."""
    path = stage.folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump({"gpus_per_node": 0, "cpus_per_task": 1, "time": 20, **values}))
    return {"cluster_config": str(path)}
