"""What became of each picture: a line of JSON for every one, written once its file is in place.

Each shard appends to a file of its own, so writers never meet. The launcher gathers them when it
plans anew. A picture counts as made only if a line has its hash: a kill between picture and
line costs that picture again, never a wrong one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ecgan.files import append_line, fitted, read_lines, sha256_of, write_atomically
from ecgan.threads import in_threads
from jobs.generate.plan import GeneratePlan, Task
from jobs.run import failures
from jobs.run.failures import Failure
from jobs.run.folder import RunDir

#: Threads that look whether pictures are those that were made, or whole.
READERS = 4


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


def shard_file(run: RunDir, shard: int) -> Path:
    return run.shards / f"{shard}.jsonl"


def append(path: Path, outcome: TaskOutcome) -> None:
    """Raises OSError."""
    append_line(path, dataclasses.asdict(outcome))


def gather(run: RunDir) -> dict[str, TaskOutcome]:
    """The last outcome of every picture, over all shards of the last run and the runs before it."""
    paths = [run.done, *sorted(run.shards.glob("*.jsonl"))]
    return {outcome.name: outcome for path in paths if path.is_file() for outcome in _read(path)}


def compact(run: RunDir, outcomes: dict[str, TaskOutcome]) -> None:
    """Makes `outcomes` all there is, and forgets the shards of the last run."""
    lines = [json.dumps(dataclasses.asdict(outcome)) + "\n" for outcome in outcomes.values()]
    write_atomically(run.done, "".join(lines))
    for path in run.shards.iterdir():
        path.unlink()


def made(folder: Path, plan: GeneratePlan, tasks: Iterable[Task], outcomes: dict[str, TaskOutcome]) -> set[str]:
    """Names of those `tasks` whose picture in `folder` is the one recorded, from the same inputs."""

    def is_made(task: Task) -> bool:
        outcome = outcomes.get(task.name)
        if outcome is None or outcome.sha256 is None or outcome.inputs != task.inputs:
            return False
        path = folder / task.file(plan.painting.format)
        return path.is_file() and sha256_of(path) == outcome.sha256

    tasks = list(tasks)
    return {task.name for task, yes in zip(tasks, in_threads(is_made, tasks, READERS), strict=True) if yes}


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


def _read(path: Path) -> list[TaskOutcome]:
    outcomes = []
    for _, entry in read_lines(path):
        with contextlib.suppress(ValueError, TypeError):  # the line that a kill cut short; its picture is made again
            outcomes.append(fitted(entry, TaskOutcome))
    return outcomes
