"""What was handed to a scheduler for a run: submission.json in the run's folder."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ecgan.files import read_json, write_json
from jobs.run.clock import now

#: What jobs are for: a training; shards, in an array; what comes after them all; compiling for the doctor; a step, to
#: begin something once something else has ended: an experiment's next stage, or a run that waits for another.
JobKind = Literal["training", "shards", "merge", "warm", "step"]


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


def of_lane(path: Path, lane: int) -> Path:
    """Beside the submission `path`: what a job of lane number `lane` has submitted last, to come after itself."""
    return path.with_name(f"{path.stem}.{lane}.json")


def read_submission(path: Path) -> Submission | None:
    """With the jobs that jobs of it have submitted since. None if nothing was submitted. Raises UserError if a file is
    not one of ours."""
    try:
        first = read_json(path, Submission, "a submission")
        later = [read_json(each, Submission, "a submission") for each in _of_lanes(path)]
    except FileNotFoundError:
        return None
    jobs = [job for each in (first, *later) for job in each.jobs]
    return dataclasses.replace(first, jobs=tuple(dict.fromkeys(jobs)))


def forget(path: Path) -> None:
    """Nothing is submitted any more."""
    for each in (*_of_lanes(path), path):
        each.unlink(missing_ok=True)


def _of_lanes(path: Path) -> list[Path]:
    return sorted(each for each in path.parent.glob(f"{path.stem}.*.json") if each.name.split(".")[1].isdecimal())
