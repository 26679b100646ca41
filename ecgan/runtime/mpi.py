"""Open MPI, as Jittor needs it: its programs, and the variables that tell a process that it is a rank. Runs nothing."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

#: How the names of those variables begin.
OF_RANKS = ("OMPI_", "PMIX_", "PMI_")


def own_program(name: str) -> str | None:
    """mpirun or mpicc of this environment, which is not on the PATH unless the environment is activated."""
    return shutil.which(str(Path(sys.prefix) / "bin" / name))


def find_program(name: str) -> str | None:
    """The environment's own, else the PATH's."""
    return own_program(name) or shutil.which(name)
