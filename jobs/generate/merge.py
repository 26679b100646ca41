"""Merging: a set of pictures is verified, and what results hold already is found and taken over.

The pictures lie in the run's `images/`, on the same file system as the results folder. Verified and with a manifest
among them, that folder is renamed to the results folder (`replacing`); what was there before is renamed aside first
and deleted last, so that at no moment a kill leaves less than one whole set.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

from ecgan.data.folders import is_dropping
from ecgan.data.images import BadImage, check_picture, read_bytes
from ecgan.file_notes import FileNotes, stamp_of
from ecgan.files import sha256_of
from ecgan.progress import progress_bar
from ecgan.threads import in_threads, readers
from jobs.generate.manifest import MANIFEST, Gap, listed, read_manifest
from jobs.generate.outcomes import TaskOutcome, made
from jobs.generate.plan import GeneratePlan, Task
from jobs.run.folder import RunDir


def verify(run: RunDir, plan: GeneratePlan, outcomes: dict[str, TaskOutcome], hashes: FileNotes) -> list[Gap]:
    """Checks that images/ holds the plan's pictures: present, as recorded, decodable, of the right size.

    Each is read once, and not if `hashes` say that it was verified; what is verified now is noted there.
    """
    width, height = plan.painting.size

    def check(task: Task) -> Gap | None:
        outcome, path = outcomes.get(task.name), run.images / task.file(plan.painting.format)
        if outcome is None or outcome.sha256 is None:
            return Gap(task.name, (outcome and outcome.error) or "not made yet", bool(outcome and outcome.bad_input))
        if not path.is_file():
            return Gap(task.name, "its file is gone")
        verified, stamp = f"{outcome.sha256} {width}x{height}", stamp_of(path)
        if hashes.known(path.name, stamp) == verified:
            return None
        try:
            content = read_bytes(path)
            if hashlib.sha256(content).hexdigest() != outcome.sha256:
                return Gap(task.name, "its file is not the one that was written")
            check_picture(path, plan.painting.size, content)
        except BadImage as error:
            return Gap(task.name, str(error))
        hashes.note(path.name, stamp, verified)
        return None

    with progress_bar(len(plan.tasks), "verifying", "picture") as bar:
        found = in_threads(check, plan.tasks, readers(), bar.update)
    return [gap for gap in found if gap]


def is_complete(results: Path, plan: GeneratePlan, hash_of: Callable[[Path], str] = sha256_of) -> bool:
    """Whether `results` holds exactly `plan`'s pictures already, undamaged and from the same inputs."""
    return has_names_of(results, plan) and (
        len(made(results, plan, plan.tasks, listed(read_manifest(results), plan), hash_of)) == len(plan.tasks)
    )


def has_names_of(results: Path, plan: GeneratePlan) -> bool:
    """Whether files of `plan`'s pictures, whatever is in them, and a manifest are all that `results` holds."""
    return results.is_dir() and names_in(results) == {*plan.files, MANIFEST}


def adopt(
    run: RunDir,
    results: Path,
    plan: GeneratePlan,
    outcomes: dict[str, TaskOutcome],
    hash_of: Callable[[Path], str] = sha256_of,
) -> None:
    """Puts those pictures of `outcomes` that only the results folder has into images/, as links where possible."""
    for task in plan.tasks:
        file = task.file(plan.painting.format)
        if task.name not in outcomes or hash_if_any(run.images / file, hash_of) == outcomes[task.name].sha256:
            continue
        (run.images / file).unlink(missing_ok=True)
        try:
            os.link(results / file, run.images / file)
        except OSError:  # a file system without hard links
            shutil.copyfile(results / file, run.images / file)


def names_in(results: Path) -> set[str]:
    """Without what an operating system leaves there, which is deleted with the folder."""
    return {name for name in os.listdir(results) if not is_dropping(name)}


def hash_if_any(path: Path, hash_of: Callable[[Path], str]) -> str | None:
    return hash_of(path) if path.is_file() else None
