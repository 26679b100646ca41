"""What a cluster needs of the machine: Slurm's programs, and root."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

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
            f"missing: {', '.join(missing)}. On Debian 12 or 13, as root: {how_to_install(accounting)} "
            f"(services that these packages start by themselves are not needed{hint})"
        )
    insist_on_root(user)


def install(accounting: bool) -> bool:
    """Installs Debian's packages unless all is there; whether there was anything to do. UserError if that can't be."""
    programs = _PROGRAMS + (_ACCOUNTING_PROGRAMS if accounting else ())
    if all(which(program) for program in programs):
        return False
    if os.geteuid() != 0 or which("apt-get") is None:
        check(accounting)
    # Debian starts the services of new packages; a cluster of ours has its own, elsewhere.
    policy = Path("/usr/sbin/policy-rc.d")
    ours = not policy.exists()
    if ours:
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
    try:
        for line in (["apt-get", "update", "-q"], how_to_install(accounting).split()):
            command = [*line, *(["--yes"] if "install" in line else [])]
            if subprocess.run(command, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"}).returncode:
                raise UserError(f"{' '.join(command)} failed; its own words are above")
    finally:
        if ours:
            policy.unlink()
    return True


def insist_on_root(user: int | None = None) -> None:
    if (os.geteuid() if user is None else user) != 0:
        raise UserError("Slurm's daemons start jobs for any user, so a cluster needs root: run the command with sudo")
