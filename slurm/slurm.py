"""Slurm, as commands see it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from slurm import controller, sbatch, script
from slurm.options import SlurmOptions
from slurm.processes import resources
from slurm.processes.starters import SEVERAL_HERE
from slurm.scheduler import Batch, Cluster, JobState, Scheduler
from slurm.script import Shape
from slurm.site import Site, read_site
from slurm.starters import LAUNCHERS
from slurm.supervisor import Supervised


class Slurm(Scheduler):
    name, title, options = "slurm", "Slurm", SlurmOptions
    checks = (
        *(each.check for each in LAUNCHERS.values() if each.check and each.check != SEVERAL_HERE.check),
        ("sacct", controller.check_accounting),
    )

    def has_started_us(self) -> bool:
        return "SLURM_JOB_ID" in os.environ

    def answers(self) -> tuple[bool, str]:
        return controller.controller_answers()

    def is_silence(self, words: str) -> bool:
        return controller.is_silence(words)

    def cluster(self, path: Path | None, given: Mapping[str, Any]) -> Cluster:
        return SlurmCluster(read_site(path, **given))

    def job_states(self, ids: Sequence[str]) -> dict[str, JobState] | None:
        return controller.job_states(ids)

    def cancel(self, ids: Sequence[str]) -> tuple[bool, str]:
        return controller.cancel(ids)


class SlurmCluster(Cluster):
    scheduler = Slurm()

    def __init__(self, site: Site) -> None:
        self.settings: Site = site
        self.nodes, self.ranks_per_node, self.gpus_per_node = site.nodes, site.ranks_per_node, site.gpus_per_node
        self.at_once, self.notify = site.array_parallelism, site.notify
        said = site.environment.get(resources.THREADS) or os.environ.get(resources.THREADS)
        self.threads = said or site.cpus_per_task

    def insist_on_usable(self, run: Path) -> None:
        sbatch.insist_on_usable(run)

    def submit(self, run: Path, batch: Batch) -> str:
        shape = self._shape(batch)
        jobs = [Supervised(run, unit, job, self.settings, shape) for unit, job in batch.jobs.items()]
        return sbatch.enqueue(run / sbatch.FOLDER, self.settings, shape, jobs)

    def text(self, run: Path, batch: Batch) -> str:
        return sbatch.sbatch_text(run / sbatch.FOLDER, self.settings, self._shape(batch), len(batch.jobs))

    def would_accept(self, run: Path, batch: Batch) -> tuple[bool, str]:
        return controller.would_accept(self.text(run, batch))

    def _shape(self, batch: Batch) -> Shape:
        shape = {"training": script.training, "merge": script.merge, "step": script.merge}.get(batch.kind, script.shard)
        return shape(self.settings, batch.name, batch.environment, batch.after)
