"""Whether schedulers answer, and if so what they offer."""

from __future__ import annotations

from ecgan.runtime.requirements import Finding
from launch.checks.rows import Row, noted
from slurm.scheduler import Scheduler
from slurm.schedulers import SCHEDULERS


def rows() -> list[Row]:
    return [row for scheduler in SCHEDULERS.values() for row in _rows(scheduler)]


def _rows(scheduler: Scheduler) -> list[Row]:
    def answer() -> Finding:
        answers, found = scheduler.answers()
        return Finding(found, "" if answers else "not needed on one machine; on a cluster, ask from a login node")

    first = noted((scheduler.title, answer))
    return [first, *(noted(check) for check in scheduler.checks if first.state == "ok")]
