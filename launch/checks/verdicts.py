"""What follows from the doctor's table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from launch.checks.rows import Row


@dataclass(frozen=True)
class Verdict:
    """Whether `work` can run here; `reason` says on what, or why not."""

    work: str
    can_run: bool
    reason: str

    def __str__(self) -> str:
        return f"{self.work}: " + (f"can run here, {self.reason}" if self.can_run else f"can't run here: {self.reason}")


def verdicts(rows: Sequence[Row], where: str) -> tuple[Verdict, Verdict, Verdict]:
    """For generating, training in one process and training on several ranks. `where`: what they would run on."""
    missing = [row for row in rows if row.state == "missing"]
    return (
        _verdict("generating", missing, where),
        _verdict("training, one process", missing, where),
        _verdict("training, several ranks (MPI)", missing + [row for row in rows if row.stops_ranks], where),
    )


def _verdict(work: str, obstacles: Sequence[Row], where: str) -> Verdict:
    return Verdict(work, not obstacles, "; ".join(f"{row.name}: {row.found}" for row in obstacles) or where)
