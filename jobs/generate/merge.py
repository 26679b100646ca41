"""Merging: a set of pictures is verified and gets its manifest, and results are held against their own.

The pictures lie in the run's `images/`, on the same file system as the results folder. Verified and
with a manifest among them, that folder is renamed to the results folder (`replacing`); what was there before is
renamed aside first and deleted last, so that at no moment a kill leaves less than one whole set.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import ecgan
from ecgan.data.folders import is_dropping
from ecgan.data.images import BadImage, check_picture
from ecgan.files import read_any_json, sha256_of, write_json
from ecgan.progress import progress_bar
from ecgan.threads import in_threads
from jobs.generate.outcomes import READERS, TaskOutcome, made
from jobs.generate.plan import GeneratePlan, Task
from jobs.run.clock import now
from jobs.run.folder import RunDir

MANIFEST = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Gap:
    """A picture that the set lacks, and why; `bad_input`: it could not be made of what the user gave.

    Without a `name` it is what the input lacks, which is not about one of the pictures.
    """

    name: str | None
    reason: str
    bad_input: bool = False

    def __str__(self) -> str:
        return f"{self.name}: {self.reason}" if self.name else self.reason


def verify(run: RunDir, plan: GeneratePlan, outcomes: dict[str, TaskOutcome]) -> list[Gap]:
    """Checks that images/ holds the plan's pictures: present, as recorded, decodable, of the right size."""

    def check(task: Task) -> Gap | None:
        outcome, path = outcomes.get(task.name), run.images / task.file(plan.painting.format)
        if outcome is None or outcome.sha256 is None:
            return Gap(task.name, (outcome and outcome.error) or "not made yet", bool(outcome and outcome.bad_input))
        if not path.is_file():
            return Gap(task.name, "its file is gone")
        if sha256_of(path) != outcome.sha256:
            return Gap(task.name, "its file is not the one that was written")
        try:
            check_picture(path, plan.painting.size)
        except BadImage as error:
            return Gap(task.name, str(error))
        return None

    with progress_bar(len(plan.tasks), "verifying", "picture") as bar:
        found = in_threads(check, plan.tasks, READERS, bar.update)
    return [gap for gap in found if gap]


def write_manifest(
    run: RunDir,
    plan: GeneratePlan,
    outcomes: dict[str, TaskOutcome],
    settings: dict[str, Any],
    left_out: Sequence[Gap] = (),
) -> None:
    """Puts manifest.json beside the pictures: where each came from, with what all were made, and what is not there."""
    painting = plan.painting
    pictures = {
        task.file(painting.format): {
            "mask": task.mask,
            "reference": task.reference,
            "inputs": task.inputs,
            "seed": painting.seed,
            "shard": outcomes[task.name].shard,
            "sha256": outcomes[task.name].sha256,
            "seconds": outcomes[task.name].seconds,
        }
        for task in plan.tasks
    }
    manifest = {
        "created": now(),
        "versions": {"ecgan": ecgan.__version__, "jittor": metadata.version("jittor")},
        "checkpoint": {"path": painting.checkpoint, "sha256": painting.checkpoint_hash},
        "config": settings,
        "fingerprint": painting.fingerprint(),
        "images": pictures,
        "left_out": [{"name": gap.name, "reason": gap.reason} for gap in left_out],
    }
    write_json(run.images / MANIFEST, manifest)


def has_damaged_manifest(results: Path) -> bool:
    return os.path.lexists(results / MANIFEST) and read_manifest(results) is None


def read_manifest(results: Path) -> dict[str, Any] | None:
    """The manifest of a results folder; None if there is none, or it is damaged."""
    try:
        manifest = read_any_json(results / MANIFEST)
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


def listed(results: Path, plan: GeneratePlan) -> dict[str, TaskOutcome]:
    """Outcomes of `plan`'s pictures as the manifest in `results` has them; empty if it is of other settings."""
    manifest = read_manifest(results)
    if manifest is None or manifest["fingerprint"] != plan.painting.fingerprint():
        return {}
    entries = ((task.name, manifest["images"].get(task.file(plan.painting.format))) for task in plan.tasks)
    return {
        name: TaskOutcome(name, entry.get("inputs", ""), entry.get("shard", -1), entry["sha256"], entry.get("seconds"))
        for name, entry in entries
        if entry is not None
    }


def is_complete(results: Path, plan: GeneratePlan) -> bool:
    """Whether `results` holds exactly `plan`'s pictures already, undamaged and from the same inputs."""
    return (
        results.is_dir()
        and names_in(results) == {*plan.files, MANIFEST}
        and len(made(results, plan, plan.tasks, listed(results, plan))) == len(plan.tasks)
    )


def adopt(run: RunDir, results: Path, plan: GeneratePlan, outcomes: dict[str, TaskOutcome]) -> None:
    """Puts those pictures of `outcomes` that only the results folder has into images/, as links where possible."""
    for task in plan.tasks:
        file = task.file(plan.painting.format)
        if task.name not in outcomes or sha256_if_any(run.images / file) == outcomes[task.name].sha256:
            continue
        (run.images / file).unlink(missing_ok=True)
        try:
            os.link(results / file, run.images / file)
        except OSError:  # a file system without hard links
            shutil.copyfile(results / file, run.images / file)


def names_in(results: Path) -> set[str]:
    """Without what an operating system leaves there, which is deleted with the folder."""
    return {name for name in os.listdir(results) if not is_dropping(name)}


def sha256_if_any(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None
