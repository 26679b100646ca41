"""What differs between releases of Slurm, all of it. Tried: 22.05 (Debian 12) and 24.11 (Debian 13)."""

from __future__ import annotations

import re
import subprocess

from ecgan.errors import UserError
from slurm.devcluster import requirements

#: Year and month that name a release: (22, 5).
Release = tuple[int, int]


def installed() -> Release:
    """That of the slurmd on this machine. UserError if it doesn't say."""
    program = requirements.which("slurmd") or "slurmd"
    said = subprocess.run([program, "-V"], capture_output=True, text=True, errors="replace")
    return parsed(said.stdout + said.stderr)


def parsed(text: str) -> Release:
    """Of what `slurmd -V` says: "slurm 24.11.5", "slurm-wlm 22.05.8"."""
    found = re.search(r"^slurm\S* (\d+)\.(\d+)", text, re.MULTILINE)
    if found is None:
        raise UserError(f"slurmd -V does not say which release of Slurm it is: {text.strip()!r}")
    return int(found[1]), int(found[2])


def cgroup_conf(release: Release) -> str:
    """Nothing here needs cgroups, and containers may not offer them. Since 24.05 Slurm can be told to do without, and
    24.11's slurmd does not start otherwise; 22.05's does without by itself, and does not know the word."""
    lines = ["# Written by slurm.devcluster."]
    if release >= (24, 5):
        lines.append("CgroupPlugin=disabled")
    return "\n".join(lines) + "\n"
