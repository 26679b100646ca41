"""What this machine has to give: memory, GPUs; and how a pool of workers shares it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from ecgan.cores import cores

#: The variable with the number of threads of a process, which Jittor's libraries heed.
THREADS = "OMP_NUM_THREADS"
_CGROUPS, _MY_CGROUPS = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available_memory() -> int:
    """Bytes that can be taken without swapping, also in a container or a job with a limit."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            available = int(line.split()[1]) * 1024
    return max(0, min([available, *_left_by_limits()]))


def _left_by_limits() -> Iterator[int]:
    """Bytes that the limits of this process's control groups leave, version 2 or 1, from the innermost outwards."""
    for line in _MY_CGROUPS.read_text().splitlines():  # "0::/job" or "4:memory:/job"
        _, controllers, path = line.split(":", 2)
        root, limit, usage = _CGROUPS, "memory.max", "memory.current"
        if "memory" in controllers.split(","):
            root, limit, usage = _CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
        elif controllers:
            continue
        group = root / path.lstrip("/")  # in a container perhaps not there, but the root, which is its own
        for folder in [group, *group.parents]:
            with contextlib.suppress(OSError, ValueError):  # "max" where there is none
                most, taken = int((folder / limit).read_text()), int((folder / usage).read_text())
                yield most - taken + _cached_files(folder)
            if folder == root:
                break


def _cached_files(group: Path) -> int:
    """Bytes that count as taken and are given back when somebody wants them."""
    counts = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    return int(counts.get("total_inactive_file", counts.get("inactive_file", 0)))


def gpus(count: int) -> list[str]:
    """Names of the `count` GPUs that this process sees, as CUDA_VISIBLE_DEVICES wants them."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(index) for index in range(count)]
    return names[:count]


def default_workers(gpu_count: int, memory_per_worker: int) -> int:
    """One for each GPU; without GPUs as many as cores and memory carry, at least one."""
    if gpu_count:
        return gpu_count
    return max(1, min(cores(), available_memory() // memory_per_worker))


def threads(processes: int, given: int | None = None) -> int:
    """CPU threads of each of `processes` on this machine: what the environment says, else the `given`, else its share
    of the cores."""
    said = os.environ.get(THREADS, "").partition(",")[0].strip()  # "4,2" speaks of nested regions, too
    if said.isdigit() and int(said) > 0:
        return int(said)
    return given or max(1, cores() // processes)


def thread_environment(count: int) -> dict[str, str]:
    """With which a process computes with so many; NumPy, which has little to do, with one."""
    return {THREADS: str(count), "OPENBLAS_NUM_THREADS": "1"}


def environments(workers: int, gpu_count: int) -> list[dict[str, str]]:
    """For each worker the environment that gives it its GPU, and its threads."""
    names = gpus(gpu_count)
    shares = []
    for index in range(workers):
        share = thread_environment(threads(workers))
        if names:
            share["CUDA_VISIBLE_DEVICES"] = names[index % len(names)]
        shares.append(share)
    return shares
