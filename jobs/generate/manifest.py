"""The manifest of a results folder: where each picture came from, with what all were made, and what is not there.

It lies among the pictures. Results are known for ours by it, and their pictures for undamaged and of what settings.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import ecgan
from ecgan.files import read_any_json, whole_file
from jobs import samples
from jobs.generate.outcomes import TaskOutcome
from jobs.generate.plan import GeneratePlan, Task
from jobs.run.clock import now
from jobs.run.folder import RunDir

MANIFEST = "manifest.json"
#: Bytes of the largest manifest that is read: of more than two million pictures.
_MOST = 1 << 30


@dataclass(frozen=True)
class Gap:
    """A picture that the set lacks, and why; `bad_input`: it could not be made of what the user gave.

    Without a `name` it is what the input lacks, which is not about one of the pictures.
    """

    name: str | None
    reason: str
    bad_input: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.name else self.reason


def write_manifest(
    run: RunDir,
    plan: GeneratePlan,
    outcomes: dict[str, TaskOutcome],
    settings: dict[str, Any],
    left_out: Sequence[Gap] = (),
) -> None:
    """Puts manifest.json beside the pictures: where each came from, with what all were made, and what is not there."""
    painting = plan.painting
    values: dict[str, Any] = {
        "created": now(),
        "versions": {"ecgan": ecgan.__version__, "jittor": metadata.version("jittor")},
        "checkpoint": {"path": painting.checkpoint, "sha256": painting.checkpoint_hash},
        "config": settings,
        "fingerprint": painting.fingerprint(),
        "left_out": [{"name": gap.name, "reason": gap.reason} for gap in left_out],
    }
    if several := sorted({task.seed for task in plan.tasks if task.seed is not None}):
        values[samples.KEY] = several
    with whole_file(run.images / MANIFEST) as file:  # a line for each picture, however many there are
        file.write(b"{\n")
        for name, value in values.items():
            file.write(f" {json.dumps(name)}: {json.dumps(value)},\n".encode())
        file.write(b' "images": {')
        for number, task in enumerate(plan.tasks):
            seed = painting.seed if task.seed is None else task.seed
            picture = json.dumps(_picture(task, outcomes[task.name], seed))
            file.write(f"{',' if number else ''}\n  {json.dumps(task.file(painting.format))}: {picture}".encode())
        file.write(b"\n }\n}\n")


def _picture(task: Task, outcome: TaskOutcome, seed: int) -> dict[str, Any]:
    return {
        "mask": task.mask,
        "reference": task.reference,
        "inputs": task.inputs,
        "seed": seed,
        "shard": outcome.shard,
        "sha256": outcome.sha256,
        "seconds": outcome.seconds,
    }


def has_damaged_manifest(results: Path) -> bool:
    return os.path.lexists(results / MANIFEST) and read_manifest(results) is None


def read_manifest(results: Path) -> dict[str, Any] | None:
    """The manifest of a results folder; None if there is none, or it is damaged."""
    try:
        manifest = read_any_json(results / MANIFEST, most=_MOST)
        width, height = manifest["fingerprint"]["size"]
        whole = all(isinstance(entry["sha256"], str) for entry in manifest["images"].values())
        return manifest if whole and isinstance(width, int) and isinstance(height, int) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def left_out(manifest: dict[str, Any] | None) -> list[Gap]:
    """What a manifest says that its folder lacks, since the input was bad."""
    try:
        return [Gap(each["name"], each["reason"], bad_input=True) for each in (manifest or {}).get("left_out", [])]
    except (KeyError, TypeError):  # somebody else wrote it
        return []


def how_many_of(manifest: dict[str, Any] | None) -> int | None:
    """Of how many masks, the first by name, the pictures are; None: of all."""
    config = (manifest or {}).get("config")
    count = config.get("how_many") if isinstance(config, dict) else None
    return count if isinstance(count, int) and count > 0 else None


def listed(manifest: dict[str, Any] | None, plan: GeneratePlan) -> dict[str, TaskOutcome]:
    """Outcomes of `plan`'s pictures as a manifest has them; empty if it is of other settings, or there is none."""
    if manifest is None or manifest["fingerprint"] != plan.painting.fingerprint():
        return {}
    entries = ((task.name, manifest["images"].get(task.file(plan.painting.format))) for task in plan.tasks)
    return {
        name: TaskOutcome(name, entry.get("inputs", ""), entry.get("shard", -1), entry["sha256"], entry.get("seconds"))
        for name, entry in entries
        if entry is not None
    }
