"""A node that dies, one that is only thought dead, and a controller that goes away under running jobs."""

from __future__ import annotations

import os
import signal

from conftest import DataFolder, wait_until

from cluster.conftest import Stage


def ends_as(stage: Stage, name: str, undisturbed: str) -> None:
    status = stage.wait_until_over(name)
    assert status["state"] == "done", status
    assert stage.digests(name) == stage.data.digests(undisturbed)
    assert stage.steps(name) == list(range(1, 41))  # nothing lost, nothing done twice
    stage.wait_until_gone(*stage.jobs(name))
    wait_until(lambda: not stage.processes(name), 180)


def test_a_node_that_is_thought_dead_writes_nothing_more(stage: Stage) -> None:
    """Its slurmd is gone and its rank stands still, until the job has begun again elsewhere: then it goes on."""
    local = stage.data.train("--cluster", "local", "--max_steps", 40, run="undisturbed one")
    assert local.returncode == 0, local.stderr
    site = stage.folder / "fenced.yaml"
    site.write_text("{sbatch: {exclude: n4}, environment: {OMP_NUM_THREADS: 2}}\n")
    job = stage.train("fenced", "--max_steps", 40, "--save_every_steps", 2, "--cluster_config", site)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("fenced", 3)
    first = stage.attempts("fenced")[0]
    rank = stage.rank("fenced", 0)
    os.kill(rank, signal.SIGSTOP)
    try:
        assert stage.cluster.kill_node(first["nodes"], jobs=False) == 1
        wait_until(lambda: len(stage.attempts("fenced")) == 2, 300)
    finally:
        os.kill(rank, signal.SIGCONT)
    log = stage.folder / "fenced/logs/training-0001/rank-0.log"
    wait_until(lambda: "later attempt" in log.read_text())
    ends_as(stage, "fenced", "undisturbed one")
    assert stage.cluster.revive_node(first["nodes"])
    old, new = stage.attempts("fenced")
    assert new["nodes"] != old["nodes"] and old.get("outcome") != "done" and new["outcome"] == "done"


def test_the_controller_goes_away_for_a_while(stage: Stage) -> None:
    data = DataFolder(stage.folder / "masks for the controller", 60, stage.masks.checkpoint)
    job = stage.generate("controller", "--shards", 2, masks=data)
    assert job.returncode == 0, job.stderr
    records = [stage.folder / f"controller.run/shards/{shard}.jsonl" for shard in range(2)]
    wait_until(lambda: any(path.exists() and path.read_text() for path in records), 200)
    stage.cluster.stop_controller()
    try:
        status = stage.status("controller.run")  # from files alone
        refused = stage.generate("another", "--shards", 2, masks=data)
    finally:
        stage.cluster.start_controller()
    assert status["state"] in ("running", "merging") and status["scheduler"] == []
    assert refused.returncode == 69 and "--cluster slurm: " in refused.stderr and "--cluster local" in refused.stderr
    status = stage.wait_until_over("controller.run")
    assert status["state"] == "done" and len(list((stage.folder / "controller").glob("*.jpg"))) == 60, status
    stage.wait_until_gone(*stage.jobs("controller.run"))


def test_a_node_loses_its_power(stage: Stage) -> None:
    """All that ran on it is gone at once; the training goes on from its last state, on other nodes."""
    job = stage.train("power", "--nodes", 2, "--max_steps", 40, "--save_every_steps", 2)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("power", 5)
    last = stage.slurm("scontrol", "show", "hostnames", stage.attempts("power")[0]["nodes"]).split()[-1]
    assert stage.cluster.kill_node(last) > 1
    wait_until(lambda: len(stage.attempts("power")) == 2, 300)
    ends_as(stage, "power", "undisturbed")
    assert stage.cluster.revive_node(last)
