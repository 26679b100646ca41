"""The ways of starting the ranks of a job in an allocation of Slurm's: another is one more class, and its line."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ecgan.runtime.requirements import Finding
from slurm import controller
from slurm.container import Container
from slurm.processes.ends import DONE, FAILED
from slurm.processes.rank import Origin, RankOutcome
from slurm.processes.starters import OpenMpi, mpirun, mpirun_complaint

#: What srun says when the controller has given up a node: then Slurm ends the job and queues it again.
_LOST_NODE = "Node failure"
#: What it says of a task that SIGUSR2 met before it could listen.
_DIED_OF_USR2 = "User defined signal 2"


@dataclass(frozen=True)
class Allocation:
    """What a job has got of a cluster: `tasks_per_node` ranks on each of `nodes`, each with `cpus_per_task` cores
    (None: as the cluster has it). `srun_args`: more words for srun; `container`: that srun starts them in."""

    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int | None = None
    srun_args: list[str] = field(default_factory=list)
    container: Container | None = None

    @property
    def ranks(self) -> int:
        return self.nodes * self.tasks_per_node


class _InAllocation(OpenMpi):
    """From a job's batch step, on all its nodes."""

    is_here = False

    def __init__(self, allocation: Allocation) -> None:
        super().__init__(allocation.ranks)
        self._allocation = allocation

    def status(self, code: int, outcomes: Sequence[RankOutcome]) -> int:
        if code == DONE and len(outcomes) < self.count:
            return FAILED  # srun ends with 0 when it has lost a node
        return super().status(code, outcomes)

    def complaint(self, log: str) -> str | None:
        """The first error that srun told of a task, as "srun: error: n2: task 1: Killed"."""
        told = [line for line in log.splitlines() if "error:" in line]
        return next((line for line in told if "task" in line), told[0] if told else None)

    def has_lost_node(self, trouble: str) -> bool:
        return _LOST_NODE in trouble

    def died_of_warning(self, trouble: str) -> bool:
        return _DIED_OF_USR2 in trouble


def _check_pmix() -> Finding:
    offered = controller.mpi_plugins()
    if any("pmix" in plugin for plugin in offered):
        return Finding("offered")
    how = "several ranks under srun need Slurm's PMIx plugin, which the administrator installs"
    return Finding(f"not offered, only {', '.join(offered) or 'nothing'}", how)


class Srun(_InAllocation):
    """Slurm's srun; all end if one fails."""

    name = "srun"
    origin = Origin("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID")
    is_warned = True
    check = ("srun --mpi=pmix", _check_pmix)

    @property
    def python(self) -> str:
        inside = self._allocation.container
        return inside.python if inside else super().python

    @property
    def command(self) -> list[str]:
        given = self._allocation
        words = [
            "srun",
            f"--nodes={given.nodes}",
            f"--ntasks={self.count}",
            f"--ntasks-per-node={given.tasks_per_node}",
        ]
        if given.cpus_per_task is not None:
            words.append(f"--cpus-per-task={given.cpus_per_task}")  # srun 22.05 and later ignore sbatch's
        # Without --export all of the environment goes along, also where the site's default says otherwise.
        words += ["--export=ALL", "--kill-on-bad-exit=1", "--unbuffered"]
        words.append(f"--mpi={'pmix' if self.count > 1 else 'none'}")
        return [*words, *(given.container.words if given.container else []), *given.srun_args]


class Mpirun(_InAllocation):
    """Open MPI's mpirun, which asks Slurm for the job's nodes."""

    name = "mpirun"

    @property
    def command(self) -> list[str]:
        # Slurm starts what it needs on other nodes; else it ends where ssh is missing, which it has no use for.
        return [*mpirun(self.count), "--mca", "plm", "^rsh"]

    def complaint(self, log: str) -> str | None:
        return super().complaint(log) or mpirun_complaint(log)


#: What starts ranks in an allocation, by the word for it in a cluster's file.
LAUNCHERS: dict[str, type[_InAllocation]] = {each.name: each for each in (Srun, Mpirun)}


def in_allocation(launcher: str, allocation: Allocation) -> _InAllocation:
    """Of the ranks of a job on a cluster. A single one is always a task of srun, which needs no MPI for it."""
    return LAUNCHERS[launcher if allocation.ranks > 1 else Srun.name](allocation)
