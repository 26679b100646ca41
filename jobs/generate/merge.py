"""Merging: a set of pictures is verified, and what results hold already is found and taken over.

The pictures lie in the run's `images/`, on the same file system as the results folder. Verified and with a manifest
among them, that folder is renamed to the results folder (`replacing`); what was there before is renamed aside first
and deleted last, so that at no moment a kill leaves less than one whole set.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from ecgan.data.folders import is_dropping
from ecgan.data.images import BadImage, check_picture
from ecgan.files import sha256_of
from ecgan.progress import progress_bar
from ecgan.threads import in_threads
from jobs.generate.manifest import MANIFEST, Gap, listed
from jobs.generate.outcomes import READERS, TaskOutcome, made
from jobs.generate.plan import GeneratePlan, Task
from jobs.run.folder import RunDir


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
