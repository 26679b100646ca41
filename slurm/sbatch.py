"""Handing jobs to sbatch, through submitit."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from submitit.core.utils import FailedJobError, FailedSubmissionError
from submitit.slurm.slurm import SlurmExecutor, _make_sbatch_string

from ecgan.errors import Unavailable, UserError
from slurm.controller import is_silence
from slurm.script import Shape, parameters
from slurm.site import Site

#: In the run's folder, what sbatch got and said.
FOLDER = "slurm"


def enqueue(folder: Path, site: Site, shape: Shape, jobs: Sequence[Callable[[], Any]]) -> str:
    """Puts one job into the queue, or several as an array; returns its id. submitit's files and logs go to `folder`.

    Raises UserError with sbatch's own words if it is refused, Unavailable if it reached nobody.
    """
    insist_on_usable(folder)
    try:
        executor = SlurmExecutor(folder)
        executor.update_parameters(**parameters(site, shape))
        with executor.batch():
            submitted = [executor.submit(job) for job in jobs]
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError, RuntimeError) as error:
        words = _words(error)
        refusal = Unavailable if is_silence(words) else UserError
        raise refusal(f"sbatch did not take the job: {words}") from None
    return str(submitted[0].job_id).split("_")[0]


def sbatch_text(folder: Path, site: Site, shape: Shape, count: int) -> str:
    """What `enqueue` would hand to sbatch for `count` jobs."""
    insist_on_usable(folder)
    command = f"{shlex.quote(sys.executable)} -u -m submitit.core._submit {shlex.quote(str(folder))}"
    array = count if count > 1 else None
    return str(_make_sbatch_string(command=command, folder=folder, map_count=array, **parameters(site, shape)))


def insist_on_usable(folder: Path) -> None:
    """Raises UserError if sbatch would take parts of the folder's name for something else."""
    odd = sorted({char for char in str(folder) if char in "%\\" or not char.isprintable()})
    if odd:
        raise UserError(f"{folder}: a run's folder can't have {' '.join(map(repr, odd))} in its name on Slurm")


def _words(error: BaseException) -> str:
    """sbatch's complaint, out of whatever submitit wrapped around it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    told = [line for line in lines if line.startswith("sbatch:")]
    return "; ".join(told or lines[-3:]) or type(error).__name__
