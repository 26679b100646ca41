"""Experiments on a real cluster, through all that befalls one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

import yaml
from conftest import ROOT, wait_until

from cluster.conftest import Stage

SMALL = {"size": "64x32", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0, "batch_size": 4}
STEPS = 40


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


def test_an_experiment_lives_through_all_that_befalls_a_cluster(stage: Stage) -> None:
    """A training is preempted, a node dies, the controller restarts, a shard is killed, a variant diverges: what can be
    done is done; the same command completes what is left, and nothing is done twice."""
    plain = site(stage, "plain")
    preemptible = site(stage, "preemptible", partition="preempt", environment={"OMP_NUM_THREADS": 1})
    trial = Trial(
        stage,
        "whole experiment",
        train={"max_steps": STEPS, "niter": 1000, "save_every_steps": 4},
        score={},
        gallery={},
        variants={"base": None, "slow": {"train": {"lr": 1.0e-5}}, "wrong": {"train": {"lr": 1.0e18}}},
        seeds=[0, 1],
        resources={"train": preemptible, "generate": plain, "score": plain, "step": plain},
    )
    trial.run("--cluster", "slurm")
    first, second = (trial.part("base", seed, "training") for seed in (0, 1))
    stage.wait_for_steps(first, 3)
    stage.wait_until_run(stage.preempt(stage.jobs(first)[0]))
    node = _where_it_trains(stage, second)
    assert stage.cluster.kill_node(node) > 1
    stage.cluster.stop_controller()
    time.sleep(10)
    stage.cluster.start_controller()
    _kill_a_shard(stage, trial.part("slow", 0, "results.run"))
    states = trial.states()
    assert stage.cluster.revive_node(node)
    whole = ["done"] * 4
    for seed in (0, 1):
        assert states["wrong", seed] == ["failed", "blocked", "blocked", "blocked"], states
        assert states["base", seed] == whole, states
    assert states["slow", 1] == whole, states
    assert states["slow", 0] == ["done", "incomplete", "blocked", "blocked"], states
    assert len(stage.attempts(first)) > 1 and len(stage.attempts(second)) > 1
    before = trial.attempts()

    trial.values["variants"]["wrong"] = {"train": {"lr": 1.0e-3}}
    trial.run("--cluster", "slurm")
    assert trial.states() == dict.fromkeys(states, whole)
    after = trial.attempts()
    anew = ("/variants/wrong/", trial.part("slow", 0, ""))
    assert {path for path in after.items() - before.items() if not any(part in path[0] for part in anew)} == set()
    for variant, seed in states:
        assert stage.steps(trial.part(variant, seed, "training")) == list(range(1, STEPS + 1))
        records = (stage.folder / trial.part(variant, seed, "results.run")).glob("shards/*.jsonl")
        names = [json.loads(line)["name"] for path in records for line in path.read_text().splitlines()]
        assert sorted(names) == [f"m{index:03}" for index in range(40)]
    trial.run("--table")
    rows = json.loads((trial.home / "table.json").read_text())["variants"]
    assert {row["variant"]: row["state"] for row in rows} == dict.fromkeys(trial.values["variants"], "done")


def _where_it_trains(stage: Stage, name: str) -> str:
    """The node on which a training is at work, in its newest attempt."""

    def at_work() -> bool:
        attempts = stage.attempts(name)
        return len(stage.steps(name)) >= 3 and "outcome" not in attempts[-1]

    wait_until(at_work, 200)
    return str(stage.attempts(name)[-1]["nodes"])


def _kill_a_shard(stage: Stage, name: str) -> None:
    def killed() -> bool:
        with contextlib.suppress(AssertionError, ProcessLookupError):
            os.kill(stage.rank(name, 0), signal.SIGKILL)
            return True
        return False

    wait_until(killed, 300)


def test_one_variant_is_cancelled_and_the_others_go_on(stage: Stage) -> None:
    plain = site(stage, "plain")
    trial = Trial(
        stage,
        "experiment",
        train={"max_steps": 3},
        generate={"how_many": 4},
        gallery={},
        variants={"whole": None, "long": {"train": {"max_steps": 100000}}},
        resources={"train": plain | {"nodes": 2}, "generate": plain, "step": plain},
    )
    trial.run("--cluster", "slurm")
    stage.wait_for_steps(trial.part("long", 0, "training"), 1)
    cancelled = stage.launch("cancel", trial.home, "--variant", "long")
    assert cancelled.returncode == 0, cancelled.stderr
    states = trial.states()
    assert states["whole", 0] == ["done"] * 3 and states["long", 0][0] == "cancelled", states
    assert len(list((trial.home / "variants/whole/seed-0/results").glob("*.jpg"))) == 4
