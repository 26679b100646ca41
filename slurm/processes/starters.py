"""The ways of starting the ranks of a job, the processes that run it together: what a `Starter` has to say, and those
of this machine. Another way is one more Starter, and its line: `SEVERAL_HERE`, or among a scheduler's."""

from __future__ import annotations

import os
import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar

from ecgan.errors import UserError
from ecgan.runtime import mpi
from ecgan.runtime.cache import home
from ecgan.runtime.programs import ask, first_line
from ecgan.runtime.requirements import REINSTALL, Finding
from slurm.processes.ends import DONE, STOPPED
from slurm.processes.rank import Origin, RankOutcome
from slurm.processes.session import Session

#: Seconds that mpirun waits after SIGCONT, at which ranks stop (`slurm.processes.rank`), and again after SIGTERM before
#: SIGKILL, when somebody sends it SIGTERM.
GRACE = 30
#: How mpirun begins what it says of a rank that ended badly.
_OF_RANKS = ("Primary job", "mpirun detected", "mpirun noticed")
#: Characters of it that are told; the log has all of them.
_LONGEST = 500
OPEN_MPI = f"Open MPI, which this project brings; {REINSTALL}"
_OF_MPIRUN = Origin(
    "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK", announces_end_with_sigcont=True
)
#: What the doctor asks: a name, and what finds out whether it is well.
Check = tuple[str, Callable[[], Finding]]


class Starter(ABC):
    """A way to start `count` ranks. Whatever it starts passes SIGUSR2 on to all of them.

    `name`: what its own log is called. `origin`: what a rank must know of it. `is_here`: whether all ranks
    are processes of this machine, in the session of the one that we start and its own children: a rank below a proxy,
    as hydra has one, would not be known for one, and its death not be seen before the starter's end. `is_warned`:
    whether the scheduler itself tells the ranks that the time limit is near. `check`: whether it can be used, for the
    doctor.
    """

    name: ClassVar[str]
    origin: ClassVar[Origin] = _OF_MPIRUN
    is_here: ClassVar[bool] = True
    is_warned: ClassVar[bool] = False
    check: ClassVar[Check | None] = None

    def __init__(self, count: int) -> None:
        self.count = count

    @property
    @abstractmethod
    def command(self) -> list[str]:
        """What goes before the command of a rank. Raises UserError if it is not there."""

    @property
    def python(self) -> str:
        """What a rank's command begins with."""
        return sys.executable

    def keeps_in(self, session: Session) -> dict[str, str]:
        """The variables that have its ranks keep what they share in the session's folders, where it is cleaned away
        after them; empty if they leave nothing behind."""
        return {}

    def status(self, code: int, outcomes: Sequence[RankOutcome]) -> int:
        """How the ranks ended (as in `slurm.processes.ends`), by the exit code of what we started and what they
        left to read."""
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


def check_mpirun() -> Finding:
    path = mpi.find_program("mpirun")
    if path is None:
        return Finding("none", OPEN_MPI)
    works, answer = ask([path, "--version"])
    if not works:
        return Finding(answer, OPEN_MPI)
    found = f"{path}, {first_line(answer)}"
    if "Open MPI" not in answer and "OpenRTE" not in answer:
        return Finding(f"{found}: Jittor works with Open MPI only", OPEN_MPI)
    return Finding(found)


class OpenMpi(Starter):
    """Starts ranks that meet through Open MPI, whatever starts them."""

    check = ("mpirun", check_mpirun)

    def keeps_in(self, session: Session) -> dict[str, str]:
        kept = {
            "OMPI_MCA_orte_tmpdir_base": str(session.temporary),
            "OMPI_MCA_btl_vader_backing_directory": str(session.memory),
        }
        if home() is None:  # a user who is but a number, in a container: Open MPI would crash
            kept["HOME"] = str(session.temporary)
        return kept

    def complaint(self, log: str) -> str | None:
        return mpirun_complaint(log)


class MpirunHere(OpenMpi):
    """Open MPI's mpirun, on this machine."""

    name = "mpirun"

    @property
    def command(self) -> list[str]:
        return [*mpirun(self.count), "--mca", "plm", "isolated"]  # it would look for ssh, which it has no use for here


#: What starts several ranks on this machine.
SEVERAL_HERE: type[Starter] = MpirunHere


def here(count: int) -> Starter:
    """Of `count` ranks on this machine."""
    return Alone() if count == 1 else SEVERAL_HERE(count)


def mpirun(count: int) -> list[str]:
    """The words that start `count` ranks: here, or in an allocation on its nodes. Raises UserError if there is no
    mpirun."""
    path = mpi.find_program("mpirun")
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
