"""Memory and disk."""

from __future__ import annotations

import shutil
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.files import nearest
from ecgan.memory import painting_memory
from ecgan.runtime.cache import cache_dir
from launch.checks.rows import Checks, Row
from slurm.processes import resources

_GIB = 1 << 30
#: What compiled code may take in the cache folder; for the CPU alone it is a fifth of this.
_CACHE_SPACE = 1 * _GIB
#: Peak of training the original's code with its default model on the CPU.
_TRAINING_MEMORY = 7.3e9

check = Checks(failing="note")
rows = check.rows


@check
def memory() -> Row:
    free, painting = resources.available_memory(), painting_memory(ModelConfig(), batch=1)
    found = f"{_gib(free)} free for this process; the default model needs {_gib(painting)} to generate on the CPU"
    found += f" and about {_gib(_TRAINING_MEMORY)} to train"
    if free >= _TRAINING_MEMORY:
        return Row("memory", "ok", found)
    how = "end other programs, or use a smaller model or another machine"
    return Row("memory", "note", found, how)


@check
def disk_here() -> Row:
    return Row("disk here", "ok", f"{_gib(shutil.disk_usage(Path.cwd()).free)} free")


@check
def disk_of_the_cache() -> Row:
    free = shutil.disk_usage(nearest(cache_dir())).free
    if free >= _CACHE_SPACE:
        return Row("disk of the cache", "ok", f"{_gib(free)} free")
    how = f"compiled code may take {_gib(_CACHE_SPACE)}: make room, or set ECGAN_CACHE to a folder elsewhere"
    return Row("disk of the cache", "note", f"{_gib(free)} free", how)


def _gib(size: float) -> str:
    return f"{size / _GIB:.1f} GiB"
