"""What was handed to a scheduler for a run: submission.json in the run's folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgan.files import read_json, write_json
from jobs.run.clock import now

#: What jobs are for: a training; shards, in an array; what comes after them all; compiling for the doctor.
JobKind = Literal["training", "shards", "merge", "warm"]


@dataclass(frozen=True)
class SubmittedJob:
    """`id` as the scheduler names it; `kind`: what it does; `tasks`: elements of an array, else 1."""

    id: str
    kind: JobKind
    tasks: int = 1


@dataclass(frozen=True)
class Submission:
    """The jobs of the last submission. `scheduler`: whose jobs they are, as --cluster names it. `submitted`,
    `cancelled`: when, the latter by our cancel command, else None."""

    jobs: tuple[SubmittedJob, ...]
    scheduler: str = "slurm"
    submitted: str = dataclasses.field(default_factory=now)
    cancelled: str | None = None

    @property
    def ids(self) -> list[str]:
        return [job.id for job in self.jobs]

    def save(self, path: Path) -> None:
        write_json(path, dataclasses.asdict(self))


def read_submission(path: Path) -> Submission | None:
    """None if nothing was submitted. Raises UserError if the file is not one of ours."""
    try:
        return read_json(path, Submission, "a submission")
    except FileNotFoundError:
        return None
