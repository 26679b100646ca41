"""Training and generating through a cluster's life: preemption, time limits, requeues, deaths, cancellation."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import Future

import pytest
from conftest import ROOT, DataFolder, ScoreFolder, commands, wait_until
from drawn import segformer_weights
from safetensors.numpy import save_file

from cluster.conftest import JOB, Play, Stage
from cluster.trial import Trial, site
from slurm.devcluster import DevCluster

play = Play()
#: As the undisturbed training on this machine alone.
TWO = ("--nodes", 2, "--max_steps", 40)


def undisturbed(stage: Stage) -> dict[str, str]:
    return stage.data.digests("undisturbed")


def ends_as_undisturbed(stage: Stage, name: str) -> None:
    status = stage.wait_until_over(name)
    assert status["state"] == "done", status
    assert stage.digests(name) == undisturbed(stage)
    assert stage.steps(name) == list(range(1, 41))  # nothing lost, nothing done twice
    stage.wait_until_gone(*stage.jobs(name))
    wait_until(lambda: not stage.processes(name), 60)


@play.scene
def four_nodes_train_as_four_local_ranks(stage: Stage) -> None:
    local = stage.data.train("--cluster", "local", "--ranks", 4, run="local four")
    assert local.returncode == 0, local.stderr
    job = stage.train("four", "--nodes", 4, "--wait")
    assert job.returncode == 0, job.stderr
    assert stage.digests("four") == stage.data.digests("local four")
    assert stage.status("four")["ranks"] == 4
    again = stage.train("four", "--nodes", 4, "--wait")  # nothing left to do
    assert again.returncode == 0, again.stderr


@play.scene
def mpirun_in_the_allocation_trains_the_same(stage: Stage) -> None:
    site = stage.folder / "mpirun.yaml"
    site.write_text("launcher: mpirun\n")
    job = stage.train("mpirun", *TWO, "--cluster_config", site, "--wait")
    assert job.returncode == 0, job.stderr
    ends_as_undisturbed(stage, "mpirun")


@play.scene
def preempted_training_goes_on(stage: Stage) -> None:
    """A job of higher priority takes the node: SIGTERM, saved in the grace time, queued again by Slurm itself."""
    site = stage.folder / "preempted.yaml"
    site.write_text("{partition: preempt, environment: {OMP_NUM_THREADS: 1}}\n")  # the promise is for one thread
    job = stage.train("preempted", *TWO, "--cluster_config", site, "--cpus_per_task", 4)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("preempted", 3)
    stage.wait_until_run(stage.preempt(stage.jobs("preempted")[0]))
    ends_as_undisturbed(stage, "preempted")
    first, *_ = stage.attempts("preempted")
    assert (first["outcome"], first["signal"]) == ("stopped", "SIGTERM")
    assert stage.status("preempted")["requeues"] >= 1


@play.scene
def the_time_limit_costs_nothing(stage: Stage) -> None:
    """SIGUSR2 ahead of the limit: saved, and put back into the queue by ourselves."""
    site = stage.folder / "limited.yaml"
    site.write_text("{partition: short, warn_seconds: 60}\n")
    options = ("--nodes", 2, "--niter", 9999, "--max_steps", 5000, "--cluster_config", site, "--time", 2)
    job = stage.train("limited", *options)
    assert job.returncode == 0, job.stderr
    wait_until(lambda: len(stage.attempts("limited")) >= 2, 500)
    first = stage.attempts("limited")[0]
    assert (first["outcome"], first["signal"]) == ("requeued", "SIGUSR2")
    log = stage.folder / "limited/logs/training-0002/rank-0.log"
    wait_until(lambda: log.exists() and re.search(r"after step (\d+)", log.read_text()), 120)
    at = re.search(r"after step (\d+)", log.read_text())
    assert at
    stage.wait_for_steps("limited", int(at[1]) + 2)
    steps = stage.steps("limited")
    assert steps == list(range(1, len(steps) + 1))
    assert stage.status("limited")["requeues"] >= 1  # on a busy machine the limit may have come again
    assert stage.launch("cancel", stage.folder / "limited").returncode == 0
    stage.wait_until_gone(*stage.jobs("limited"))


@play.scene
def a_requeue_by_the_administrator(stage: Stage) -> None:
    job = stage.train("requeued", *TWO, "--save_every_steps", 2)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("requeued", 3)
    stage.slurm("scontrol", "requeue", stage.jobs("requeued")[0])
    ends_as_undisturbed(stage, "requeued")
    assert len(stage.attempts("requeued")) == 2


@play.scene
def one_rank_is_killed(stage: Stage) -> None:
    """The others end within a minute, and the user sees which one it was."""
    job = stage.train("killed", "--nodes", 2, "--max_steps", 5000, "--niter", 9999, "--save_every_steps", 1)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("killed", 2)
    logs = stage.folder / "killed/logs/training-0001"
    os.kill(stage.rank("killed", 1), signal.SIGKILL)
    killed = time.monotonic()
    wait_until(lambda: not stage.processes("killed"), 90)
    assert time.monotonic() - killed < 60
    status = stage.wait_until_over("killed")
    assert status["state"] == "failed" and "task 1" in status["error"], status
    assert status["log"] == str(logs)
    stage.wait_until_gone(*stage.jobs("killed"))
    assert stage.state(stage.jobs("killed")[0]) == "FAILED"
    steps = stage.steps("killed")
    again = stage.train("killed", "--nodes", 2, "--max_steps", steps[-1] + 3, "--wait")  # and it goes on
    assert again.returncode == 0, again.stderr
    steps = stage.steps("killed")
    assert steps == list(range(1, len(steps) + 1))


@play.scene
def cancelled_it_keeps_what_it_has(stage: Stage) -> None:
    job = stage.train("cancelled", "--nodes", 2, "--niter", 9999, "--max_steps", 5000)
    assert job.returncode == 0, job.stderr
    stage.wait_for_steps("cancelled", 2)
    second = stage.train("cancelled", "--nodes", 2)
    assert second.returncode == 2 and stage.jobs("cancelled")[0] in second.stderr, second.stderr
    local = stage.run(*stage.data.command("--run_dir", stage.folder / "cancelled", "--cluster", "local"))
    assert local.returncode == 2 and stage.jobs("cancelled")[0] in local.stderr, local.stderr
    asked = stage.launch("cancel", stage.folder / "cancelled")
    assert asked.returncode == 0 and stage.jobs("cancelled")[0] in asked.stdout, asked.stderr
    stage.wait_until_gone(*stage.jobs("cancelled"))
    wait_until(lambda: not stage.processes("cancelled"), 60)
    status = stage.status("cancelled")
    assert status["state"] == "cancelled" and len(stage.attempts("cancelled")) == 1
    last = stage.steps("cancelled")[-1]
    assert status["last_state"].endswith(f"step-{last:08}")  # saved when it was told to end
    noted = (stage.folder / "cancelled/submission.json").read_bytes()
    nothing = stage.launch("cancel", stage.folder / "cancelled")  # no job of it is left
    assert nothing.returncode == 0 and (stage.folder / "cancelled/submission.json").read_bytes() == noted


@play.scene
def eight_shards_are_merged_as_on_one_machine(stage: Stage) -> None:
    local = stage.masks.generate("--cluster", "local", "--output_path", "local")
    assert local.returncode == 0, local.stderr
    job = stage.generate("eight", "--shards", 8, "--array_parallelism", 3, "--wait")
    assert job.returncode == 0, job.stderr
    pictures = {path.name: path.read_bytes() for path in (stage.folder / "eight").glob("*.jpg")}
    assert pictures == stage.masks.pictures("local") and len(pictures) == 40
    array = stage.jobs("eight.run")[0]
    spans = stage.slurm("sacct", "-X", "-n", "-P", "-o", "Start,End", "-j", array).splitlines()
    assert len(spans) == 8
    for span in spans:  # never more than three at a time
        start = span.split("|")[0]
        assert sum(other.split("|")[0] <= start < other.split("|")[1] for other in spans) <= 3
    again = stage.generate("eight", "--shards", 8)  # nothing is left to do
    assert again.returncode == 0 and not (stage.folder / "eight.run/submission.json").exists(), again.stderr


@play.scene
def preempted_shards_go_on(stage: Stage) -> None:
    """One is preempted, the other told ahead of a time limit; no picture is lost, none is made twice."""
    data = DataFolder(stage.folder / "many masks", 400, stage.masks.checkpoint)
    options = ("--shards", 2, "--partition", "preempt", "--cpus_per_task", 4)
    job = stage.generate("many", *options, masks=data)
    assert job.returncode == 0, job.stderr
    array = stage.jobs("many.run")[0]
    records = [stage.folder / f"many.run/shards/{shard}.jsonl" for shard in range(2)]
    begun = lambda path: path.exists() and path.read_text().count("\n") >= 3  # noqa: E731
    ask = {0: lambda: stage.preempt(f"{array}_0"), 1: lambda: stage.slurm("scancel", "--signal=USR2", f"{array}_1")}
    asked: dict[int, str] = {}

    def have_been_asked() -> bool:  # each as soon as it is at work: the other may begin when it is done
        for shard in ask:
            if shard not in asked and begun(records[shard]):
                asked[shard] = ask[shard]()
        return len(asked) == len(ask)

    wait_until(have_been_asked, 300)
    stage.wait_until_run(asked[0])
    status = stage.wait_until_over("many.run")
    assert status["state"] == "done" and len(list((stage.folder / "many").glob("*.jpg"))) == 400, status
    requeues = {shard["number"]: shard["requeues"] for shard in status["shards"]}
    assert requeues[0] >= 1 and requeues[1] >= 1
    assert stage.attempts("many.run", "shard-1")[0]["outcome"] == "requeued"
    assert stage.attempts("many.run", "shard-0")[0]["outcome"] == "stopped"
    names = [json.loads(line)["name"] for path in records for line in path.read_text().splitlines()]
    assert sorted(names) == sorted({f"m{index:03}" for index in range(400)})
    stage.wait_until_gone(*stage.jobs("many.run"))


@play.scene
def scores_in_shards_are_those_of_one_machine(stage: Stage) -> None:
    """One shard is told to end ahead of a time limit and goes on; every number is the same."""
    data = ScoreFolder(stage.folder / "scored", 100)
    save_file(segformer_weights("b0"), data.path / "segmenter.safetensors")
    where = ("--results", data.results, "--input_path", data.path / "data/test", "--img_path", data.photos)
    judges = ("--segmenter", data.path / "segmenter.safetensors", "--aesthetic", data.path / "aesthetic.py")
    local = stage.launch("score", *where, *judges, "--cluster", "local", "--output_path", data.path / "local")
    assert local.returncode == 0, local.stderr
    slow = ("--aesthetic_weights", data.path / "slow.txt", "--output_path", stage.folder / "scores")
    job = stage.launch("score", *where, *judges, *slow, *JOB, "--shards", 2)
    assert job.returncode == 0, job.stderr
    wait_until(lambda: list((stage.folder / "scores/parts").glob("*.npz")), 300)
    stage.slurm("scancel", "--signal=USR2", f"{stage.jobs('scores')[0]}_1")
    status = stage.wait_until_over("scores")
    assert status["state"] == "done" and status["done"] == status["total"] == 100, (
        status
    )  # the photos' statistics are known
    assert stage.attempts("scores", "shard-1")[0]["outcome"] == "requeued"
    ours, theirs = (
        json.loads((folder / "score.json").read_text()) for folder in (stage.folder / "scores", data.path / "local")
    )
    # A distance is eigenvalues of large matrices, whose rounding depends on how many cores there are.
    assert ours["fsd"].pop("value") == pytest.approx(theirs["fsd"].pop("value"), rel=1e-6)
    assert {**ours, "created": ""} == {**theirs, "created": ""}
    assert (stage.folder / "scores/images.csv").read_text() == (data.path / "local/images.csv").read_text()
    stage.wait_until_gone(*stage.jobs("scores"))
    again = stage.launch("score", *where, *judges, *slow, *JOB, "--shards", 2, "--wait")
    assert again.returncode == 0 and stage.status("scores")["before"] == 100, again.stderr


@play.scene
def a_shard_that_fails_leaves_a_gap(stage: Stage) -> None:
    """The merge says what is missing, and --retry_failed submits that alone."""
    data = DataFolder(stage.folder / "gap", 8, stage.masks.checkpoint)
    site = stage.folder / "held.yaml"
    site.write_text("sbatch: {hold: true}\n")
    job = stage.generate("gaps", "--shards", 4, "--cluster_config", site, masks=data)
    assert job.returncode == 0, job.stderr
    assert stage.status("gaps.run")["state"] == "submitted"
    mask = data.masks / "m002.png"
    good = mask.read_bytes()
    mask.write_bytes(b"not a picture")
    stage.slurm("scontrol", "release", *stage.jobs("gaps.run"))
    status = stage.wait_until_over("gaps.run")
    assert status["state"] == "incomplete" and status["done"] == 7, status
    assert not (stage.folder / "gaps").exists()
    assert "m002: " in (stage.folder / "gaps.run/missing.txt").read_text()
    stage.wait_until_gone(*stage.jobs("gaps.run"))
    assert stage.state(stage.jobs("gaps.run")[1]) == "FAILED"
    mask.write_bytes(good)
    again = stage.generate("gaps", "--shards", 4, "--retry_failed", "--wait", masks=data)
    assert again.returncode == 0 and stage.status("gaps.run")["before"] == 7, again.stderr
    assert len(list((stage.folder / "gaps").glob("*.jpg"))) == 8


@play.scene
def edited_code_does_not_change_what_waits(stage: Stage) -> None:
    copy = stage.folder / "edited"
    for package in ("ecgan", "jobs", "slurm", "launch"):
        shutil.copytree(ROOT / package, copy / package, ignore=shutil.ignore_patterns("__pycache__"))
    site = stage.folder / "held too.yaml"
    site.write_text("sbatch: {hold: true}\n")
    masks = stage.masks.command("--input_path", stage.masks.path / "data/test", "--img_path", stage.masks.photos)
    environment = stage.environment | {"PYTHONPATH": str(copy)}
    for name, snapshot in (("kept", "--snapshot"), ("changed", "--no_snapshot")):
        options = [*JOB, "--cluster_config", site, "--how_many", 1, "--output_path", stage.folder / name, snapshot]
        command = [sys.executable, str(copy / "launch/generate.py"), *masks[2:], *map(str, options)]
        job = subprocess.run(command, env=environment, capture_output=True, text=True)
        assert job.returncode == 0, job.stderr
    (copy / "jobs/generate/shard.py").write_text("raise RuntimeError('edited while it waited')\n")
    stage.slurm("scontrol", "release", *stage.jobs("kept.run"), *stage.jobs("changed.run"))
    assert stage.wait_until_over("kept.run")["state"] == "done"
    changed = stage.wait_until_over("changed.run")
    assert changed["state"] == "incomplete", changed


@play.scene
def ctrl_c_while_waiting_leaves_the_jobs_alone(stage: Stage) -> None:
    command = stage.data.command("--run_dir", stage.folder / "waited", *JOB, "--nodes", 1, "--wait")
    job = subprocess.Popen(command, env=stage.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    wait_until(lambda: (stage.folder / "waited/submission.json").exists(), 60)
    time.sleep(1)
    job.send_signal(signal.SIGINT)
    output, errors = job.communicate(timeout=120)
    assert job.returncode == 130 and "Traceback" not in errors, errors
    assert output.count("launch/cancel.py") >= 1
    assert stage.wait_until_over("waited")["state"] == "done"


@play.scene
def a_node_is_warmed_before_anything_runs_on_it(stage: Stage) -> None:
    words = ("--warm", "--cluster", "slurm", "--device", "cpu", "--gpus_per_node", 0, "--checkpoint")
    job = stage.launch("doctor", *words, stage.masks.checkpoint)
    assert job.returncode == 0 and " cpu" in job.stdout, job.stdout + job.stderr


@play.scene
def without_accounting_on_a_second_cluster(stage: Stage) -> None:
    """No sacct, and another cluster beside the first: neither is in the other's way."""
    folder = stage.folder.parent / "plain"
    with DevCluster(folder, nodes=1, accounting=False) as cluster:
        beside = Stage(cluster, stage.folder, stage.data, stage.masks)
        job = beside.generate("plain results", "--shards", 2, "--wait")
        assert job.returncode == 0, job.stderr
        assert len(list((stage.folder / "plain results").glob("*.jpg"))) == 40
        assert beside.status("plain results.run")["state"] == "done"
        assert "gpu" in stage.slurm("sinfo")
    assert not [command for _, command in commands() if str(folder) in command]
    status = stage.run(sys.executable, "-m", "slurm.devcluster", "status", "--folder", folder)
    assert status.returncode == 1 and status.stdout.startswith("down"), status.stdout


@play.scene
def one_variant_is_cancelled_and_the_others_go_on(stage: Stage) -> None:
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


@play.scene
def what_waits_for_another_run_begins_by_itself(stage: Stage) -> None:
    """Three commands given at once: each begins on a node when the run before it has ended. And one whose run fails."""
    masks = ("--input_path", stage.masks.path / "data/test", "--img_path", stage.masks.photos)
    for name, *steps in (("well", "--max_steps", 3), ("ill", "--max_steps", 50, "--lr", 1.0e18)):
        trained = stage.train(name, *steps)
        assert trained.returncode == 0, trained.stderr
        where = ("--checkpoint", stage.folder / name, "--after", stage.folder / name)
        painted = stage.generate(f"{name} painted", *where, "--how_many", 4, "--shards", 2)
        assert painted.returncode == 0, painted.stderr
    results = stage.folder / "well painted"
    words = ("--results", results, *masks, "--device", "cpu", *JOB, "--after", results, "--wait")
    scored = stage.launch("score", *words)
    assert scored.returncode == 0 and "style" in scored.stdout, scored.stderr
    assert len(list(results.glob("*.jpg"))) == 4
    blocked = stage.wait_until_over("ill painted.run")
    assert blocked["state"] == "blocked" and str(stage.folder / "ill") in blocked["error"], blocked
    stage.wait_until_gone(*(id for name in ("well painted", "ill painted") for id in stage.jobs(f"{name}.run")))


@pytest.mark.parametrize("name", play.names)
def test_life(name: str, outcomes: dict[str, Future[None]]) -> None:
    outcomes[name].result()
