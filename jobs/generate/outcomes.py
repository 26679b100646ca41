"""What became of each picture: a line of JSON for every one, written once its file is in place.

Each shard appends to a file of its own, so writers never meet. The launcher gathers them when it
plans anew. A picture counts as made only if a line has its hash: a kill between picture and
line costs that picture again, never a wrong one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ecgan.files import sha256_of, whole_file
from ecgan.lines import append_line, read_records
from ecgan.threads import in_threads, readers
from jobs.generate.plan import GeneratePlan, Task
from jobs.run import failures
from jobs.run.failures import Failure
from jobs.run.folder import RunDir


@dataclass(frozen=True)
class TaskOutcome:
    """What became of one task: `sha256` of its file, or the `error` that kept it from being made; `bad_input`: the
    error lies in its mask or reference."""

    name: str
    inputs: str
    shard: int
    sha256: str | None = None
    seconds: float | None = None
    error: str | None = None
    bad_input: bool = False

    def is_of(self, task: Task) -> bool:
        """Whether it is a picture's, and from the same inputs."""
        return self.sha256 is not None and self.inputs == task.inputs


def shard_file(run: RunDir, shard: int) -> Path:
    return run.shards / f"{shard}.jsonl"


def append(path: Path, outcome: TaskOutcome) -> None:
    """Raises OSError."""
    append_line(path, vars(outcome))


def gather(run: RunDir) -> dict[str, TaskOutcome]:
    """The last outcome of every picture, over all shards of the last run and the runs before it."""
    paths = [run.done, *sorted(run.shards.glob("*.jsonl"))]
    return {outcome.name: outcome for path in paths for outcome in _read(path)}


def of_shard(run: RunDir, shard: int) -> dict[str, TaskOutcome]:
    """The same of what one shard of this run has made, however much the others have."""
    return {outcome.name: outcome for outcome in _read(shard_file(run, shard))}


def compact(run: RunDir, outcomes: dict[str, TaskOutcome]) -> None:
    """Makes `outcomes` all there is, and forgets the shards of the last run."""
    with whole_file(run.done) as file:
        for outcome in outcomes.values():
            file.write(json.dumps(vars(outcome)).encode() + b"\n")
    for path in run.shards.iterdir():
        path.unlink()


def made(
    folder: Path,
    plan: GeneratePlan,
    tasks: Iterable[Task],
    outcomes: dict[str, TaskOutcome],
    hash_of: Callable[[Path], str] = sha256_of,
) -> set[str]:
    """Names of those `tasks` whose picture in `folder` is the one recorded, from the same inputs. `hash_of`: gives the
    SHA-256 of a picture."""

    def is_made(task: Task) -> bool:
        path = folder / task.file(plan.painting.format)
        return path.is_file() and hash_of(path) == outcomes[task.name].sha256

    recorded = [task for task in tasks if task.name in outcomes and outcomes[task.name].is_of(task)]
    return {task.name for task, yes in zip(recorded, in_threads(is_made, recorded, readers()), strict=True) if yes}


def write_failures(
    run: RunDir, plan: GeneratePlan, outcomes: dict[str, TaskOutcome], others: Iterable[Failure] = ()
) -> int:
    """Writes failures.jsonl: a line for each failed picture of `plan`, then `others`; returns how many."""
    found = [
        Failure(name=task.name, mask=task.mask, reference=task.reference, reason=outcome.error)
        for task in plan.tasks
        if (outcome := outcomes.get(task.name)) and outcome.error is not None
    ]
    found += others
    failures.write(run.failures, found)
    return len(found)


def _read(path: Path) -> Iterator[TaskOutcome]:
    """What a kill cut short is none: its picture is made again."""
    return read_records(path, TaskOutcome) if path.is_file() else iter(())
