"""An experiment on a real cluster, through all that befalls one."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
import time

from conftest import wait_until

from cluster.conftest import Stage
from cluster.trial import Trial, site

STEPS, MASKS = 50, 16


def test_an_experiment_lives_through_all_that_befalls_a_cluster(stage: Stage) -> None:
    """A training is preempted, a node dies, the controller restarts, a shard is killed, a variant diverges: what can be
    done is done; the same command completes what is left, and nothing is done twice."""
    plain = site(stage, "plain")
    preemptible = site(stage, "preemptible", partition="preempt", environment={"OMP_NUM_THREADS": 1})
    trial = Trial(
        stage,
        "whole experiment",
        train={"max_steps": STEPS, "niter": 1000, "save_every_steps": 4},
        generate={"how_many": MASKS},
        score={},
        gallery={},
        variants={"base": None, "slow": {"train": {"lr": 1.0e-5}}, "wrong": {"train": {"lr": 1.0e18}}},
        seeds=[0, 1],
        resources={"train": preemptible, "generate": plain, "score": plain, "step": plain},
    )
    trial.run("--cluster", "slurm")
    shard = _Held(stage, trial.part("slow", 0, "results.run"))
    first, second = (trial.part("base", seed, "training") for seed in (0, 1))
    for each in (first, second):
        stage.wait_for_steps(each, 3)
    os.kill(stage.rank(second, 0), signal.SIGSTOP)  # or it may be over before its node dies
    stage.wait_until_run(stage.preempt(stage.jobs(first)[0]))
    node = _where_it_trains(stage, second)
    assert stage.cluster.kill_node(node) > 1
    stage.cluster.stop_controller()
    time.sleep(10)
    stage.cluster.start_controller()
    shard.kill()
    states = trial.states()
    assert stage.cluster.revive_node(node)
    whole = ["done"] * 4
    for seed in (0, 1):
        assert states["wrong", seed] == ["failed", "blocked", "blocked", "blocked"], states
        assert states["base", seed] == whole, states
    assert states["slow", 1] == whole, states
    assert states["slow", 0] == ["done", "incomplete", "blocked", "blocked"], states
    assert len(stage.attempts(first)) > 1 and len(stage.attempts(second)) > 1
    before, made_before = trial.attempts(), trial.made("slow", 0)

    trial.values["variants"]["wrong"] = {"train": {"lr": 1.0e-3}}
    trial.run("--cluster", "slurm")
    assert trial.states() == dict.fromkeys(states, whole)
    after = trial.attempts()
    anew = ("/variants/wrong/", trial.part("slow", 0, ""))
    assert {path for path in after.items() - before.items() if not any(part in path[0] for part in anew)} == set()
    for variant, seed in states:
        assert stage.steps(trial.part(variant, seed, "training")) == list(range(1, STEPS + 1))
        made = trial.made(variant, seed) + (made_before if (variant, seed) == ("slow", 0) else [])
        assert sorted(made) == [f"m{index:03}" for index in range(MASKS)]
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


class _Held(threading.Thread):
    """A shard that is stopped as soon as it is at work, and killed when it is time: it may be over before, and then the
    merge would be there."""

    def __init__(self, stage: Stage, name: str) -> None:
        super().__init__(daemon=True)
        self._stage, self._name, self._process = stage, name, 0
        self.start()

    def run(self) -> None:
        wait_until(self._hold, 400)

    def kill(self) -> None:
        self.join()
        while True:
            assert self._process, "it never ran"
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._process, signal.SIGKILL)
                return
            self._process = 0  # it was on the node that died, and is queued again
            self.run()

    def _hold(self) -> bool:
        for attempt in (1, 2):
            with contextlib.suppress(AssertionError, ProcessLookupError):
                process = self._stage.rank(f"{self._name}/logs/shard-0-{attempt:04}", 0)
                os.kill(process, signal.SIGSTOP)
                self._process = process
        return bool(self._process)
