"""What a cluster is like, from YAML and options; and what sbatch and srun are told of it."""

from __future__ import annotations

import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest
from conftest import ROOT

from ecgan.errors import UserError
from jobs.run.submission import JobKind
from slurm import script
from slurm.sbatch import insist_on_usable, sbatch_text
from slurm.scheduler import Batch
from slurm.site import Site, read_site, seconds_of
from slurm.slurm import SlurmCluster

SITES = sorted((ROOT / "configs/cluster").glob("*.yaml"))


@pytest.mark.parametrize("path", SITES, ids=lambda path: path.stem)
def test_our_sites_can_be_read(path: Path) -> None:
    assert read_site(path).ranks >= 1


def test_the_documented_defaults_are_the_defaults() -> None:
    assert read_site(ROOT / "configs/cluster/default.yaml") == Site()


def test_options_go_before_the_file(tmp_path: Path) -> None:
    path = tmp_path / "site.yaml"
    path.write_text("partition: gpu\nnodes: 2\ngpus_per_node: 4\n")
    site = read_site(path, nodes=3, account="us", time=None)
    assert (site.partition, site.nodes, site.account, site.ranks) == ("gpu", 3, "us", 12)
    assert read_site(None) == Site()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("partitoin: gpu", "no such option: partitoin"),
        ("nodes: two", "nodes"),
        ("nodes: 0", "nodes of the cluster is 0"),
        ("- gpu", "not a list of options"),
        ("modules: gcc", "modules"),
        ("a: [", "not YAML"),
        ("time: soon", "time of the cluster is 'soon'"),
        ("time: 2", "not longer than warn_seconds"),
        ("{gpus_per_node: 2, tasks_per_node: 3}", "more than gpus_per_node"),
        ("launcher: ssh", "launcher"),
        ("container_image: 3", "container_image"),
        ("notify: tell 'us", "notify of the cluster"),
        ("container_image: ' '", "container_image of the cluster is empty"),
        ("container_mounts: [/data]", "of no use without container_image"),
        ("{container_image: a.sqsh, launcher: mpirun}", "needs launcher srun"),
        ("{container_image: a.sqsh, container_mounts: [data]}", "'data'"),
        ("{container_image: a.sqsh, container_mounts: [$HOME:/data]}", "without commas or variables"),
        ("{container_image: a.sqsh, container_mounts: ['/a:/b,/c:/d']}", "/a:/b,/c:/d"),
        ("{container_image: a.sqsh, container_mounts: [/a:b]}", "/a:b"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "site.yaml"
    path.write_text(text)
    with pytest.raises(UserError, match=told) as caught:
        read_site(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(UserError, match="/no/such.yaml"):
        read_site(Path("/no/such.yaml"))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 5400), ("2:30", 150), ("1:00:00", 3600), ("1-0", 86400), ("1-12:30", 131400), ("1-0:0:1", 86401)]
    + [("UNLIMITED", float("inf")), ("", None), ("1h", None), ("-5", None)],
)
def test_time_limits(text: str, seconds: float | None) -> None:
    assert seconds_of(text) == seconds


RECORDED = """#!/bin/bash

# Parameters
#SBATCH --account=us
#SBATCH --array=0-7%3
#SBATCH --cpus-per-task=8
#SBATCH --gpus-per-node=1
#SBATCH --job-name=ecgan-results
#SBATCH --mem=64G
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --open-mode=append
#SBATCH --output='/data/it'"'"'s "here"/run/slurm/%A_%a_0_log.out'
#SBATCH --partition=gpu
#SBATCH --requeue
#SBATCH --reservation=class
#SBATCH --signal=USR2@90
#SBATCH --time=08:00:00

# setup
module load gcc/12
ulimit -c 0
export PYTHONPATH='/data/it'"'"'s "here"/run/code'
export PYTHONSAFEPATH=1
export NCCL_DEBUG='two words'
export ECGAN_CACHE="$TMPDIR/a \\"b\\""
trap : TERM USR2

# command
export SUBMITIT_EXECUTOR=slurm
PYTHON -u -m submitit.core._submit '/data/it'"'"'s "here"/run/slurm'
"""


def test_sbatch_is_told_this() -> None:
    site = Site(
        partition="gpu",
        account="us",
        gpus_per_node=4,
        cpus_per_task=8,
        memory="64G",
        time="08:00:00",
        array_parallelism=3,
        sbatch={"reservation": "class"},
        modules=["gcc/12"],
        setup=["ulimit -c 0"],
        environment={"NCCL_DEBUG": "two words"},
        warn_seconds=90,
        cache_dir='$TMPDIR/a "b"',
    )
    run = Path('/data/it\'s "here"/run')
    shape = script.shard(site, "ecgan-results", {"PYTHONPATH": str(run / "code"), "PYTHONSAFEPATH": "1"})
    text = sbatch_text(run / "slurm", site, shape, 8)
    assert text == RECORDED.replace("PYTHON -u", f"{shlex.quote(sys.executable)} -u")
    assert subprocess.run(["bash", "-n"], input=text, text=True).returncode == 0


def test_the_merge_waits_for_the_array_whatever_becomes_of_it() -> None:
    site = Site(partition="gpu", merge_partition="cpu", gpus_per_node=4, requeue=False)
    text = sbatch_text(Path("/run/slurm"), site, script.merge(site, "m", {}, ["17", "18"]), 1)
    assert "#SBATCH --dependency=afterany:17:18\n" in text and "#SBATCH --partition=cpu\n" in text
    assert "gpus" not in text and "--array" not in text
    assert "#SBATCH --no-requeue\n" in text


@pytest.mark.parametrize("kind", get_args(JobKind))
def test_whatever_comes_after_a_job_waits_for_it(kind: JobKind) -> None:
    batch = Batch(kind, "later", {"unit": print}, {}, after=["17"])
    assert "#SBATCH --dependency=afterany:17\n" in SlurmCluster(Site()).text(Path("/run"), batch)
    assert "dependency" not in SlurmCluster(Site()).text(Path("/run"), dataclasses.replace(batch, after=()))


@pytest.mark.parametrize("name", ["50%", "back\\slash", "new\nline"])
def test_folders_that_slurm_would_read_differently(name: str) -> None:
    with pytest.raises(UserError, match="in its name on Slurm"):
        insist_on_usable(Path("/data") / name)


def test_what_it_does_not_know_is_refused_from_whomever_it_comes() -> None:
    with pytest.raises(UserError, match="queue"):
        read_site(None, queue="x")
