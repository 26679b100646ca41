"""An experiment on a real cluster: steps that wait for what they submit, a chain that fails, one that is cancelled."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import yaml
from conftest import ROOT, wait_until

from cluster.conftest import Stage

SMALL = {"size": "64x32", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0, "batch_size": 4}


def test_chains_go_on_by_themselves(stage: Stage) -> None:
    """The first variant fails in its training on the node, the second goes to its end, the third is cancelled."""
    home, file = stage.folder / "experiment", stage.folder / "try.yaml"
    site = stage.folder / "steps.yaml"
    site.write_text(yaml.safe_dump({"gpus_per_node": 0, "cpus_per_task": 1, "time": 20}))
    each = {"cluster_config": str(site)}
    masks = {"input_path": str(stage.masks.path / "data/test"), "img_path": str(stage.masks.photos), "device": "cpu"}
    values = {
        "folder": str(home),
        "train": SMALL
        | {"input_path": str(stage.data.data), "max_steps": 3, "device": "cpu", "display_every_steps": 0},
        "generate": masks | {"how_many": 4, "shards": 2, "on_bad_input": "skip"},
        "gallery": {},
        "variants": {
            "diverges": {"train": {"lr": 1.0e18, "max_steps": 50}},
            "whole": None,
            "long": {"train": {"max_steps": 100000}},
        },
        "resources": {"train": each | {"nodes": 2}, "generate": each, "step": each},
    }
    file.write_text(yaml.safe_dump(values, sort_keys=False))
    job = stage.run(sys.executable, ROOT / "launch/experiment.py", file, "--cluster", "slurm")
    assert job.returncode == 0, job.stderr
    long = "experiment/variants/long/seed-0/training"
    stage.wait_for_steps(long, 1)
    cancelled = stage.launch("cancel", home, "--variant", "long")
    assert cancelled.returncode == 0, cancelled.stderr
    status = stage.wait_until_over("experiment")
    states = {chain["variant"]: [each["state"] for each in chain["stages"]] for chain in status["chains"]}
    assert states["whole"] == ["done", "done", "done"], status
    assert states["diverges"] == ["failed", "blocked", "blocked"], status
    assert states["long"][0] == "cancelled" and status["state"] == "incomplete", status
    assert len(list((home / "variants/whole/seed-0/results").glob("*.jpg"))) == 4
    assert _waits_for_nothing(stage, home)
    table = stage.run(sys.executable, ROOT / "launch/experiment.py", file, "--table")
    assert table.returncode == 0 and (home / "table.html").is_file(), table.stderr


def _waits_for_nothing(stage: Stage, home: Path) -> bool:
    """Whether no step is left in the queue."""
    files = [home / "submission.json", *home.glob("submission.*.json")]
    ids = {job["id"] for file in files for job in json.loads(file.read_text())["jobs"]}
    wait_until(
        lambda: not ids & {line.split("_")[0] for line in stage.slurm("squeue", "-h", "-o", "%i").splitlines()}, 60
    )
    return True
