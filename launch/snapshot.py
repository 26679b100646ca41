"""A copy of the project's code in a run's folder: what the run starts later is not changed by what is edited later."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import ecgan
from ecgan.checkpoint.shipped import SHIPPED
from ecgan.errors import UserError
from ecgan.files import TEMPORARY_SUFFIX
from jobs.run.folder import RunDir
from launch.cluster_options import ClusterOptions

#: The project's packages. Only in a checkout is `ecgan` in the same folder as the others.
_MODELS = set(SHIPPED.values())
_PACKAGES = [Path(ecgan.__file__).parent, *(Path(__file__).parents[1] / name for name in ("jobs", "slurm", "launch"))]


def take(run: RunDir, options: ClusterOptions) -> None:
    """Copies the project's packages into the run's code/, unless the user does without. Needs the lock. Raises OSError
    if there is no room."""
    if not options.snapshot or Path(__file__).resolve().is_relative_to(run.code.resolve()):  # we run from it
        return
    if not _can_be_named(run):
        print(f"note: no snapshot of the code: PYTHONPATH can't name {run.code}", file=sys.stderr)
        return
    new = run.path / f".code{TEMPORARY_SUFFIX}"
    shutil.rmtree(new, ignore_errors=True)
    try:
        for package in _PACKAGES:
            shutil.copytree(package, new / package.name, ignore=_left_out)
        shutil.rmtree(run.code, ignore_errors=True)
        new.rename(run.code)
    except shutil.Error as error:  # of every file that could not be copied
        *_, why = error.args[0][0]
        raise UserError(f"the code can't be copied to {run.path}: {why}") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What is no code: models, of which a plan has the path."""
    hidden = {name for name in names if name.startswith(".")}
    return hidden | {name for name in names if name == "__pycache__" or (Path(folder) / name) in _MODELS}


def environment(run: RunDir, options: ClusterOptions) -> dict[str, str]:
    """With which processes run that code; what the user's own PYTHONPATH has comes after it."""
    safe = {"PYTHONSAFEPATH": "1"}
    if not options.snapshot or not _can_be_named(run):
        return safe
    theirs = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": str(run.code) + (f"{os.pathsep}{theirs}" if theirs else ""), **safe}


def _can_be_named(run: RunDir) -> bool:
    return os.pathsep not in str(run.code)
