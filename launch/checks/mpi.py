"""What training on several ranks needs."""

from __future__ import annotations

import os
import sys

from ecgan.cores import cores
from ecgan.runtime import mpi
from ecgan.runtime.programs import ask
from ecgan.runtime.requirements import REINSTALL, installed
from launch.checks.rows import Checks, Row, noted
from slurm.processes.starters import OPEN_MPI, SEVERAL_HERE

_LOAD_MPI = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())
"""

check = Checks(failing="note", stops_ranks=True)


def rows() -> list[Row]:
    of_starter = [noted(SEVERAL_HERE.check, stops_ranks=True)] if SEVERAL_HERE.check else []
    return [*of_starter, *check.rows()]


@check
def mpicc() -> Row:
    """Jittor compiles its MPI part with it."""
    path = os.environ.get("mpicc_path") or mpi.find_program("mpicc")
    if path is None:
        return Row("mpicc", "note", "none", OPEN_MPI, stops_ranks=True)
    works, answer = ask([path, "--showme:version"])
    if not works:
        return Row("mpicc", "note", f"{path}: {answer}", OPEN_MPI, stops_ranks=True)
    return Row("mpicc", "ok", answer if answer.startswith(path) else f"{path}, {answer}")


@check
def mpi4py() -> Row:
    """Loaded in a child, without MPI_Init: a broken MPI ends the process that loads it."""
    version = installed("mpi4py")
    if version is None:
        return Row("mpi4py", "note", "not installed", REINSTALL, stops_ranks=True)
    works, answer = ask([sys.executable, "-c", _LOAD_MPI])
    if not works:
        return Row("mpi4py", "note", f"{version}, but {answer}", OPEN_MPI, stops_ranks=True)
    return Row("mpi4py", "ok", f"{version}, with {answer.partition(',')[0]}")


@check
def slots() -> Row:
    count = cores()
    return Row("cores for ranks", "ok", f"{count}: the cores of this process, which more ranks would share")
