"""Roots of Debian's distributions: made by debootstrap, once, with what the README names and a user who is not root."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from datetime import date
from pathlib import Path
from typing import IO, Literal

from ecgan.errors import UserError
from tests.fresh.machine import ALONE, UID, USER, Machine
from tests.fresh.ways import Ways

ROOT = Path(__file__).resolve().parents[2]
#: Debian 12, 13, and what becomes the next.
Distribution = Literal["bookworm", "trixie", "sid"]
_APT = "DEBIAN_FRONTEND=noninteractive apt-get --quiet --yes"


def packages_of(readme: str) -> list[str]:
    """What the README has one install on Debian."""
    found = re.search(r"Debian: `apt\s+install\s+([^`]+)`", readme)
    if found is None:
        raise UserError("README.md: it does not say any more what to install on Debian (`apt install …`)")
    return found[1].split()


def root(distribution: Distribution, folder: Path, ways: Ways, log: Path, *, anew: bool) -> tuple[Path, str]:
    """The distribution's root in `folder`, and the day it was made. One that lies there already is taken, unless it is
    to be made `anew` or has other packages.

    Raises UserError if it can't be made.
    """
    folder = folder / distribution
    made, packages = folder / "made.json", packages_of((ROOT / "README.md").read_text())
    if not anew and made.is_file() and (known := json.loads(made.read_text()))["packages"] == packages:
        return folder / "system", known["date"]
    print(f"making a root of {distribution}: {log}", flush=True)
    with open(log, "w") as file:
        _make(Machine(folder, None, ways), distribution, packages, file)
    day = date.today().isoformat()
    made.write_text(json.dumps({"packages": packages, "date": day}))  # the last: a root without it is none
    return folder / "system", day


def _make(machine: Machine, distribution: Distribution, packages: list[str], log: IO[str]) -> None:
    if shutil.which("debootstrap") is None:
        raise UserError("no debootstrap on the PATH", hint="install it (Debian: apt install debootstrap)")
    machine.clear()
    system = machine.folder / "system"
    mirror = [] if machine.ways.mirror is None else [machine.ways.mirror]
    command = [*ALONE, "debootstrap", "--variant=minbase", distribution, str(system), *mirror]
    if subprocess.run(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log).returncode:
        raise UserError(f"debootstrap of {distribution} failed: {log.name}")
    (system / "etc/apt/apt.conf.d/90-reached").write_text(machine.ways.apt)
    install(machine, packages, log)
    if machine.run(f"useradd --create-home --uid {UID} --shell /bin/bash {USER}", log, as_root=True):
        raise UserError(f"no user can be added to {distribution}: {log.name}")


def install(machine: Machine, packages: list[str], log: IO[str]) -> None:
    if machine.run(f"{_APT} update && {_APT} install {' '.join(packages)} && apt-get clean", log, as_root=True):
        raise UserError(f"{' '.join(packages)} can't be installed: {log.name}")


def remove(machine: Machine, package: str, log: IO[str]) -> None:
    """The package and what came with it, also if another package only suggests that."""
    autoremove = "--auto-remove -o APT::AutoRemove::SuggestsImportant=false"
    if machine.run(f"{_APT} purge {autoremove} {package}", log, as_root=True):
        raise UserError(f"{package} can't be removed: {log.name}")
