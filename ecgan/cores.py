"""How many cores this process may use: what a job's affinity and a container's quota leave of the machine's."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

_CGROUP_CPU = Path("/sys/fs/cgroup/cpu.max")


def cores() -> int:
    """CPU cores that this process may use, also in a container with a quota; at least 1."""
    count = len(os.sched_getaffinity(0))
    with contextlib.suppress(OSError, ValueError):
        quota, period = map(int, _CGROUP_CPU.read_text().split())  # "max 100000" where there is none
        count = min(count, max(1, quota // period))
    return count
