"""What decides that compiled code can be used again, and doing once what need not be done twice."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import platform
import shutil
import sys
import sysconfig
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

from ecgan.files import exclusive_lock
from ecgan.runtime import copied, cuda, flags
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.devices import Device, gpu_archs
from ecgan.runtime.toolchain import find_compiler, find_python_config

#: What is compiled against, by its distribution's name: `environment` links to these.
_LIBRARIES = ("onednn-cpu-gomp", "openmpi")

_log = logging.getLogger(__name__)


def is_compiled(device: Device) -> bool:
    """Whether Jittor's core has been compiled for this machine and `device`."""
    return stamp("core", device).is_file()


def once(what: str, device: Device, action: Callable[[], None]) -> None:
    """Runs `action` unless it has been run for `what` and `device` on this machine; one process does, others wait.

    `what` names everything that decides what is compiled, beside what `stamp` adds.
    """
    done = stamp(what, device)
    if done.is_file():
        return
    waiting = lambda: _log.warning("waiting for another process to compile")  # noqa: E731
    with exclusive_lock(done.with_suffix(".lock"), "cache_dir", waiting):
        if not done.is_file():
            action()
            done.touch()


def stamp(what: str, device: Device) -> Path:
    """A file whose presence says that `what` is compiled for this machine, Python, compiler and Jittor."""
    digest = hashlib.sha256(f"{what}\n{identity(device)}".encode()).hexdigest()[:16]
    return cache_dir() / "ready" / f"{device}-{digest}"


def identity(device: Device) -> str:
    """Sixteen digits that differ where compiled code can't be the same; of it, environments with the same Jittor and
    libraries for the same Python are equal wherever they lie.

    Another content of `parts` has everybody compile anew.
    """
    compiler = shutil.which(find_compiler() or "g++") or "g++"
    parts = [
        device,
        str(cache_dir()),
        copied.folder().name,
        sys.version,
        sysconfig.get_paths()["include"],
        find_python_config() or "",
        platform.platform(),
        _cpu_model(),
        str(Path(compiler).resolve()),
        str(Path(compiler).stat().st_size) if Path(compiler).exists() else "",
        flags.wanted(device),
        *map(_installed, _LIBRARIES),
        _cuda_fingerprint() if device == "cuda" else "",
    ]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def jittor_home(device: Device) -> Path:
    """A home of its own for each device: what Jittor shares between them it would rebuild whenever they change.

    So it is for each CUDA and kind of GPU: the nodes of a cluster may share a cache folder and have different ones.
    """
    return cache_dir() / (f"jittor-cuda-{_cuda_fingerprint()}" if device == "cuda" else f"jittor-{device}")


def _cuda_fingerprint() -> str:
    found = cuda.find()
    return cuda.fingerprint(found, gpu_archs()) if found is not None and not found.missing else ""


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line
    return platform.processor()


def _installed(distribution: str) -> str:
    """The version, or where the environment lies, if what it has of this is of unknown origin."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return sys.prefix
