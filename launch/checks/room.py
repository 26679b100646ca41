"""Memory and disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.files import nearest
from ecgan.memory import painting_memory
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.requirements import Finding
from launch.checks.rows import Checks
from slurm.processes import resources

_GIB = 1 << 30
#: What compiled code may take in the cache folder; for the CPU alone it is a third of this.
_CACHE_SPACE = 1 * _GIB
#: Peak of training the original's code with its default model on the CPU.
_TRAINING_MEMORY = 7.3e9

check = Checks()
rows = check.rows


@check("memory")
def memory() -> Finding:
    free, painting = resources.available_memory(), painting_memory(ModelConfig(), batch=1)
    found = f"{_gib(free)} free for this process; the default model needs {_gib(painting)} to generate on the CPU"
    found += f" and about {_gib(_TRAINING_MEMORY)} to train"
    lacking = free < _TRAINING_MEMORY
    return Finding(found, "end other programs, or use a smaller model or another machine" if lacking else "")


@check("disk here")
def disk_here() -> Finding:
    return Finding(f"{_gib(shutil.disk_usage(Path.cwd()).free)} free")


@check("disk of the cache")
def disk_of_the_cache() -> Finding:
    free = shutil.disk_usage(nearest(cache_dir())).free
    how = f"compiled code may take {_gib(_CACHE_SPACE)}: make room, or set ECGAN_CACHE to a folder elsewhere"
    return Finding(f"{_gib(free)} free", how if free < _CACHE_SPACE else "")


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"
