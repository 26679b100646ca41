"""What training on several ranks needs."""

from __future__ import annotations

import os
import sys

from ecgan.cores import cores
from ecgan.runtime import mpi
from ecgan.runtime.programs import ask
from ecgan.runtime.requirements import REINSTALL, Finding, installed
from launch.checks.rows import Checks, Row, noted
from slurm.processes.starters import OPEN_MPI, SEVERAL_HERE

_LOAD_MPI = """
import mpi4py
mpi4py.rc.initialize = False
from mpi4py import MPI
print(MPI.Get_library_version())
"""

check = Checks(stops_ranks=True)


def rows() -> list[Row]:
    of_starter = [noted(SEVERAL_HERE.check, stops_ranks=True)] if SEVERAL_HERE.check else []
    return [*of_starter, *check.rows()]


@check("mpicc")
def mpicc() -> Finding:
    """Jittor compiles its MPI part with it."""
    path = os.environ.get("mpicc_path") or mpi.find_program("mpicc")
    if path is None:
        return Finding("none", OPEN_MPI)
    works, answer = ask([path, "--showme:version"])
    if not works:
        return Finding(f"{path}: {answer}", OPEN_MPI)
    return Finding(answer if answer.startswith(path) else f"{path}, {answer}")


@check("mpi4py")
def mpi4py() -> Finding:
    """Loaded in a child, without MPI_Init: a broken MPI ends the process that loads it."""
    version = installed("mpi4py")
    if version is None:
        return Finding("not installed", REINSTALL)
    works, answer = ask([sys.executable, "-c", _LOAD_MPI])
    if not works:
        return Finding(f"{version}, but {answer}", OPEN_MPI)
    return Finding(f"{version}, with {answer.partition(',')[0]}")


@check("cores for ranks")
def slots() -> Finding:
    count = cores()
    return Finding(f"{count}: the cores of this process, which more ranks would share")
