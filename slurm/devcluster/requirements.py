"""What a cluster needs of the machine: Slurm's programs, and root."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable

from ecgan.errors import UserError

#: Debian keeps daemons where a plain user's PATH does not lead.
PATH = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])
#: libpmix-dev holds the link libpmix.so that Slurm's PMIx plugin opens; nothing depends on it.
_PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge", "libpmix-dev")
_PROGRAMS = ("slurmctld", "slurmd", "slurmstepd", "srun", "sbatch", "sinfo", "scontrol", "munged", "munge")
_ACCOUNTING_PACKAGES = ("slurmdbd", "mariadb-server")
_ACCOUNTING_PROGRAMS = ("slurmdbd", "sacctmgr", "mariadbd", "mariadb-install-db", "mariadb-admin")
#: What Slurm's daemons log if they can't open the PMIx library.
NO_PMIX = "can not load PMIx library"


def which(program: str) -> str | None:
    return shutil.which(program, path=PATH)


def how_to_install(accounting: bool) -> str:
    packages = _PACKAGES + (_ACCOUNTING_PACKAGES if accounting else ())
    return "apt-get install --no-install-recommends " + " ".join(packages)


def check(accounting: bool, find: Callable[[str], str | None] = which, user: int | None = None) -> None:
    """UserError names everything that is missing, and how to get it."""
    if not sys.platform.startswith("linux"):
        raise UserError("a development cluster needs Linux")
    programs = _PROGRAMS + (_ACCOUNTING_PROGRAMS if accounting else ())
    missing = [program for program in programs if find(program) is None]
    if missing:
        hint = "; --no-accounting does without database" if accounting else ""
        raise UserError(
            f"missing: {', '.join(missing)}. On Debian 12, as root: {how_to_install(accounting)} "
            f"(services that these packages start by themselves are not needed{hint})"
        )
    insist_on_root(user)


def insist_on_root(user: int | None = None) -> None:
    if (os.geteuid() if user is None else user) != 0:
        raise UserError("Slurm's daemons start jobs for any user, so a cluster needs root: run the command with sudo")
