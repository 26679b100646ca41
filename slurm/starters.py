"""The ways of starting the ranks of a job, the processes that run it together: another way is one more Starter."""

from __future__ import annotations

import os
import re
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

from ecgan.errors import UserError
from slurm.rank import DONE, FAILED, STOPPED, Place, RankOutcome

#: What starts ranks in an allocation, as a cluster's file names it.
Launcher = Literal["srun", "mpirun"]
#: Seconds that mpirun waits after SIGCONT, at which ranks stop (`slurm.rank`), and again after SIGTERM before SIGKILL,
#: when somebody sends it SIGTERM.
GRACE = 30
#: How mpirun begins what it says of a rank that ended badly.
_OF_RANKS = ("Primary job", "mpirun detected", "mpirun noticed")
#: Characters of it that are told; the log has all of them.
_LONGEST = 500
#: What srun says when the controller has given up a node: then Slurm ends the job and queues it again.
_LOST_NODE = "Node failure"
#: What it says of a task that SIGUSR2 met before it could listen.
_DIED_OF_USR2 = "User defined signal 2"


class Starter(ABC):
    """A way to start `count` ranks. Whatever it starts passes SIGUSR2 on to all of them.

    `name`: what its own log is called. `place`: whose variables tell a rank its place. `is_here`: whether all ranks
    are processes of this machine, in the session of the one that we start. `is_warned`: whether Slurm itself tells the
    ranks that the time limit is near.
    """

    name: ClassVar[str]
    place: ClassVar[Place] = "mpi"
    is_here: ClassVar[bool] = True
    is_warned: ClassVar[bool] = False

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What goes before the command of a rank. Raises UserError if it is not there."""

    def status(self, code: int, outcomes: Sequence[RankOutcome]) -> int:
        """How the ranks ended (as in `slurm.rank`), by the exit code of what we started and what they left to read."""
        all_told = len(outcomes) == self.count and len({outcome.status for outcome in outcomes}) == 1
        if all_told and outcomes[0].status in (DONE, STOPPED):  # whatever ended the starter: the work is done, or saved
            return outcomes[0].status
        return outcomes[-1].status if code == DONE and outcomes else code  # a stop is no failure to any starter

    def complaint(self, log: str) -> str | None:
        """What it says itself, in its log, of ranks that ended without a word."""
        return None

    def has_lost_node(self, trouble: str) -> bool:
        """Whether `trouble` is that a machine has gone, and not the job's own."""
        return False

    def died_of_warning(self, trouble: str) -> bool:
        """Whether `trouble` is that a rank was asked to stop before it could listen."""
        return False


class Alone(Starter):
    """A single process on this machine."""

    name = "rank"

    def __init__(self) -> None:
        super().__init__(1)

    @property
    def command(self) -> list[str]:
        return []


class MpirunHere(Starter):
    """Open MPI's mpirun, on this machine."""

    name = "mpirun"

    @property
    def command(self) -> list[str]:
        return [*mpirun(self.count), "--mca", "plm", "isolated"]  # it would look for ssh, which it has no use for here

    def complaint(self, log: str) -> str | None:
        return mpirun_complaint(log)


@dataclass(frozen=True)
class Allocation:
    """What a job has got of a cluster: `tasks_per_node` ranks on each of `nodes`, each with `cpus_per_task` cores
    (None: as the cluster has it). `srun_args`: more words for srun."""

    nodes: int = 1
    tasks_per_node: int = 1
    cpus_per_task: int | None = None
    srun_args: list[str] = field(default_factory=list)

    @property
    def ranks(self) -> int:
        return self.nodes * self.tasks_per_node


class _InAllocation(Starter):
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


class Srun(_InAllocation):
    """Slurm's srun; all end if one fails."""

    name = "srun"
    place = "slurm"
    is_warned = True

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
        return [*words, f"--mpi={'pmix' if self.count > 1 else 'none'}", *given.srun_args]


class Mpirun(_InAllocation):
    """Open MPI's mpirun, which asks Slurm for the job's nodes."""

    name = "mpirun"

    @property
    def command(self) -> list[str]:
        return mpirun(self.count)

    def complaint(self, log: str) -> str | None:
        return super().complaint(log) or mpirun_complaint(log)


_BY_LAUNCHER: dict[Launcher, type[_InAllocation]] = {"srun": Srun, "mpirun": Mpirun}


def here(count: int) -> Starter:
    """Of `count` ranks on this machine."""
    return Alone() if count == 1 else MpirunHere(count)


def in_allocation(launcher: Launcher, allocation: Allocation) -> Starter:
    """Of the ranks of a job on a cluster. A single one is always a task of srun, which needs no MPI for it."""
    return _BY_LAUNCHER[launcher if allocation.ranks > 1 else "srun"](allocation)


def mpirun(count: int) -> list[str]:
    """The words that start `count` ranks: here, or in a Slurm allocation on its nodes. Raises UserError if there is no
    mpirun."""
    path = find_mpi("mpirun")
    if path is None:
        fact = "no mpirun: install this project with pip, which brings Open MPI"
        raise UserError(fact, hint="or use <ranks=1>")
    options = ["--oversubscribe", "--bind-to", "none", "--mca", "odls_base_sigkill_timeout", str(GRACE)]
    as_root = ["--allow-run-as-root"] if os.geteuid() == 0 else []
    return [path, "-n", str(count), *options, *as_root]


def mpirun_complaint(log: str) -> str | None:
    """What it says in a frame of hyphens, first of all; None if that is only that a rank has ended."""
    framed = re.findall(r"^-{20,}\n(.+?)\n-{20,}$", log, re.MULTILINE | re.DOTALL)
    told = next((text for text in framed if not text.startswith(_OF_RANKS)), None)
    return f"mpirun: {' '.join(told.split())}"[:_LONGEST] if told else None


def find_mpi(program: str) -> str | None:
    """mpirun or mpicc: the environment's own, since it need not be activated; else the PATH's."""
    return shutil.which(str(Path(sys.prefix) / "bin" / program)) or shutil.which(program)
