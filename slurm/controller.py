"""Whether a Slurm controller can be asked, and what it offers."""

from __future__ import annotations

import shutil
import subprocess

#: Seconds after which a controller that does not answer counts as absent.
_PATIENCE = 10


def controller_answers() -> tuple[bool, str]:
    """Whether `sinfo` gets an answer, and what to tell the user about it."""
    sinfo = shutil.which("sinfo")
    if sinfo is None:
        return False, "no Slurm commands on the PATH"
    try:
        answer = _ask([sinfo, "--noheader"])
    except subprocess.TimeoutExpired:
        return False, f"the Slurm controller did not answer within {_PATIENCE} s"
    except OSError as error:
        return False, f"sinfo can't be run: {error.strerror}"
    if answer.returncode:
        return False, f"sinfo failed: {answer.stderr.strip()[:200]}"
    return True, f"a Slurm controller answers, {len(answer.stdout.splitlines())} partition line(s)"


def mpi_plugins() -> list[str]:
    """The kinds of MPI that srun can start, as `srun --mpi=list` names them; empty without Slurm."""
    srun = shutil.which("srun")
    if srun is None:
        return []
    try:
        answer = _ask([srun, "--mpi=list"])
    except (subprocess.TimeoutExpired, OSError):
        return []
    return [line.strip() for line in (answer.stdout + answer.stderr).splitlines()[1:] if line.strip()]


def _ask(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE)
