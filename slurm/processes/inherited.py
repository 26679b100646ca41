"""What processes on this machine inherit of our environment: not the place that a scheduler or another MPI gave us.

Ranks would take it for their own, and mpirun would ask a Slurm that does not answer for its nodes.
"""

from __future__ import annotations

import os

from ecgan.runtime import mpi

_PLACES = ("SLURM_", "ORTE_", *mpi.OF_RANKS)
#: Settings of Open MPI: the user's own, unless we were started by an mpirun, which passes on its own as such, too.
_SETTINGS = "OMPI_MCA_"
#: The variable with the number of processes that were started together, by what has started them.
_SIZES = {"mpirun": "OMPI_COMM_WORLD_SIZE", "mpiexec": "PMI_SIZE", "srun": "SLURM_STEP_NUM_TASKS"}


def environment() -> dict[str, str]:
    """Ours, without another's place."""
    mpirun_started_us = "OMPI_COMM_WORLD_SIZE" in os.environ
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(_PLACES) or (name.startswith(_SETTINGS) and not mpirun_started_us)
    }


def siblings() -> tuple[str, int] | None:
    """What has started this process together with others, and how many they are in all; None if it is alone."""
    for starter, variable in _SIZES.items():
        size = os.environ.get(variable, "")
        if size.isdigit() and int(size) > 1:
            return starter, int(size)
    return None
