"""Merging: a complete, verified set of pictures becomes the results folder, in one rename.

The pictures lie in the run's `images/`, on the same file system as the results folder. Verified and
with a manifest among them, that folder is renamed to the results folder; what was there before is
renamed aside first and deleted last, so that at no moment a kill leaves less than one whole set.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from importlib import metadata
from pathlib import Path
from typing import Any

import ecgan
from ecgan.data.folders import is_dropping
from ecgan.data.images import BadImage, check_picture
from ecgan.errors import UserError
from ecgan.files import read_any_json, sha256_of, write_json
from ecgan.progress import progress_bar
from ecgan.threads import in_threads
from jobs.generate.outcomes import TaskOutcome, made
from jobs.generate.plan import GeneratePlan, Task, differences
from jobs.run.clock import now
from jobs.run.folder import RunDir

MANIFEST = "manifest.json"
#: Threads that verify pictures.
_READERS = 4


@dataclasses.dataclass(frozen=True)
class Gap:
    """A picture that the set lacks, and why."""

    name: str
    reason: str


def verify(run: RunDir, plan: GeneratePlan, outcomes: dict[str, TaskOutcome]) -> list[Gap]:
    """Checks that images/ holds exactly the plan's pictures: present, as recorded, decodable, of the right size.

    Raises UserError if there are files that are not of this plan.
    """
    extra = sorted(set(os.listdir(run.images)) - set(plan.files) - {MANIFEST})
    if extra:
        raise UserError(f"{run.images} holds {extra[0]} ({len(extra)} such), which is not of this run: remove it")

    def check(task: Task) -> Gap | None:
        outcome, path = outcomes.get(task.name), run.images / task.file(plan.painting.format)
        if outcome is None or outcome.sha256 is None:
            return Gap(task.name, (outcome and outcome.error) or "not made yet")
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
        found = in_threads(check, plan.tasks, _READERS, bar.update)
    return [gap for gap in found if gap]


def write_manifest(run: RunDir, plan: GeneratePlan, outcomes: dict[str, TaskOutcome], settings: dict[str, Any]) -> None:
    """Puts manifest.json beside the pictures: where each came from, and with what all were made."""
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
    }
    write_json(run.images / MANIFEST, manifest)


def swap_in(run: RunDir, results: Path) -> None:
    """Renames images/ to `results`; what was there is gone afterwards. Raises UserError if it can't be renamed."""
    try:
        if results.exists():
            os.rename(results, run.replaced)
        os.rename(run.images, results)
    except BaseException as error:
        restore(run, results)
        if not isinstance(error, OSError):
            raise
        raise UserError(f"can't rename to {results}: {error.strerror}; the pictures are in {run.images}") from None
    shutil.rmtree(run.replaced, ignore_errors=True)


def restore(run: RunDir, results: Path) -> None:
    """After a kill between the renames: puts the old results back, or deletes them if the new ones are in place.

    Raises UserError if something else has taken their place meanwhile.
    """
    if not run.replaced.exists():
        return
    if read_manifest(results) is not None:
        shutil.rmtree(run.replaced)
        return
    if results.exists() and (not results.is_dir() or any(results.iterdir())):
        raise UserError(f"{results} has taken the place of results that lie in {run.replaced}: move one of them away")
    os.rename(run.replaced, results)  # over an empty folder, too


def read_manifest(results: Path) -> dict[str, Any] | None:
    """The manifest of a results folder; None if it is not one of ours."""
    try:
        manifest = read_any_json(results / MANIFEST)
        width, height = manifest["fingerprint"]["size"]
        whole = all(isinstance(entry["sha256"], str) for entry in manifest["images"].values())
        return manifest if whole and isinstance(width, int) and isinstance(height, int) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def listed(results: Path, plan: GeneratePlan) -> dict[str, TaskOutcome]:
    """Outcomes of `plan`'s pictures as the manifest in `results` has them; empty if it is of other settings."""
    manifest = read_manifest(results)
    if manifest is None or manifest["fingerprint"] != plan.painting.fingerprint():
        return {}
    entries = ((task.name, manifest["images"].get(task.file(plan.painting.format))) for task in plan.tasks)
    return {
        name: TaskOutcome(name, entry["inputs"], entry["shard"], entry["sha256"], entry["seconds"])
        for name, entry in entries
        if entry is not None
    }


def is_complete(results: Path, plan: GeneratePlan) -> bool:
    """Whether `results` holds exactly `plan`'s pictures already, undamaged and from the same inputs."""
    return (
        results.is_dir()
        and _names_in(results) == {*plan.files, MANIFEST}
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


def _names_in(results: Path) -> set[str]:
    """Without what an operating system leaves there, which is deleted with the folder."""
    return {name for name in os.listdir(results) if not is_dropping(name)}


def sha256_if_any(path: Path) -> str | None:
    return sha256_of(path) if path.is_file() else None


def insist_on_replaceable(results: Path, plan: GeneratePlan, overwrite: bool) -> None:
    """Raises UserError if swapping in `plan`'s pictures would lose something, or needs --overwrite to."""
    if not results.exists():
        return
    if os.path.ismount(results):
        raise UserError(f"{results} is a mount point, which can't be replaced by a rename: choose a folder below it")
    if not results.is_dir():
        raise UserError(f"{results} is a file; choose another --output_path")
    manifest = read_manifest(results)
    ours = set(manifest["images"]) | {MANIFEST} if manifest else set()
    present = _names_in(results)
    strange = sorted(present - ours - set(plan.files))
    if strange:
        raise UserError(
            f"{results} holds {strange[0]} ({len(strange)} such), which would be deleted: choose another --output_path"
        )
    if overwrite or not present:
        return
    if manifest is None:
        raise UserError(f"{results} holds pictures without a {MANIFEST}: --overwrite replaces them")
    if manifest["fingerprint"] != plan.painting.fingerprint():
        changed = differences(manifest["fingerprint"], plan.painting.fingerprint())
        raise UserError(f"{results} holds pictures of other settings ({changed} differ): --overwrite replaces them")
    dropped = sorted(set(manifest["images"]) - set(plan.files))
    if dropped:
        raise UserError(f"{results} holds {len(dropped)} more pictures ({dropped[0]}, …): --overwrite drops them")
