"""What has been made: one JSON line for every picture, written once its file is in place.

Each shard appends to a file of its own, so writers never meet. The launcher gathers them when it
plans anew. A picture counts as made only if a record has its hash: a kill between picture and
record costs that picture again, never a wrong one.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.files import sha256_of, write_atomically
from jobs.generate.plan import GeneratePlan, Task
from jobs.run.folder import RunDir


@dataclass(frozen=True)
class Record:
    """The outcome of one task: `sha256` of its file, or the `error` that kept it from being made; `bad_input`: which
    lies in its mask or reference."""

    name: str
    inputs: str
    shard: int
    sha256: str | None = None
    seconds: float | None = None
    error: str | None = None
    bad_input: bool = False


def shard_file(run: RunDir, shard: int) -> Path:
    return run.shards / f"{shard}.jsonl"


def append(path: Path, record: Record) -> None:
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps(dataclasses.asdict(record)) + "\n")


def gather(run: RunDir) -> dict[str, Record]:
    """The last record of every picture, over all shards of the last run and the runs before it."""
    paths = [run.done, *sorted(run.shards.glob("*.jsonl"))]
    return {record.name: record for path in paths if path.is_file() for record in _read(path)}


def compact(run: RunDir, records: dict[str, Record]) -> None:
    """Makes `records` all there is, and forgets the shards of the last run."""
    lines = [json.dumps(dataclasses.asdict(record)) + "\n" for record in records.values()]
    write_atomically(run.done, "".join(lines))
    for path in run.shards.iterdir():
        path.unlink()


def made(folder: Path, plan: GeneratePlan, tasks: Iterable[Task], records: dict[str, Record]) -> set[str]:
    """Names of those `tasks` whose picture in `folder` is the one recorded, from the same inputs."""

    def is_made(task: Task) -> bool:
        record = records.get(task.name)
        if record is None or record.sha256 is None or record.inputs != task.inputs:
            return False
        path = folder / task.file(plan.painting.format)
        return path.is_file() and sha256_of(path) == record.sha256

    tasks = list(tasks)
    with ThreadPoolExecutor(4) as pool:
        return {task.name for task, yes in zip(tasks, pool.map(is_made, tasks), strict=True) if yes}


def write_failures(
    run: RunDir, plan: GeneratePlan, records: dict[str, Record], others: Iterable[dict[str, Any]] = ()
) -> int:
    """Writes failures.jsonl: a line for each failed picture of `plan`, then `others`; returns how many."""
    failures = [
        {"name": task.name, "mask": task.mask, "reference": task.reference, "reason": records[task.name].error}
        for task in plan.tasks
        if task.name in records and records[task.name].error is not None
    ]
    lines = [json.dumps(failure) + "\n" for failure in (*failures, *others)]
    write_atomically(run.failures, "".join(lines))
    return len(lines)


def _read(path: Path) -> list[Record]:
    records = []
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            records.append(Record(**json.loads(line)))
        except (ValueError, TypeError):
            continue  # the line that a kill cut short; its picture is made again
    return records
