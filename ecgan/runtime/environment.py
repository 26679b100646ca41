"""What Jittor finds when it is imported: its variables, its home, oneDNN and CUDA where it looks for them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ecgan.errors import MachineError, reason
from ecgan.runtime import copied, cuda, flags, mpi, precompiled, stand_ins
from ecgan.runtime.devices import Device, gpu_archs
from ecgan.runtime.stamps import identity, jittor_home
from ecgan.runtime.toolchain import find_onednn, find_python_config

#: Set in a process that is there to compile Jittor's core.
COMPILING = "ECGAN_COMPILING"

#: The folder, inside Jittor's home, in which Jittor looks for oneDNN before it downloads it.
_ONEDNN_FOLDER = Path(".cache/jittor/mkl/dnnl_lnx_2.2.0_cpu_gomp")


def prepare(device: Device) -> tuple[Path, ...]:
    """Sets the variables and lays out the home; returns the libraries to load before Jittor looks for them, in order.

    What Jittor needs must be there (`requirements`). Raises MachineError if the cache folder can't be used.
    """
    home = jittor_home(device)
    try:
        home.mkdir(parents=True, exist_ok=True)
        onednn = _link_onednn(home)
        mpicc, of_mpi = stand_ins.mpicc(home)
        copied.lay_out()
        flags.lay_out_headers()
        precompiled.lay_out(device)
        of_cuda = _set_cuda(home if device == "cuda" else None)
    except OSError as error:
        refused = f"can't use {home} for compiled code ({reason(error)})"
        raise MachineError(refused, hint="set ECGAN_CACHE to a folder") from None
    os.environ["JITTOR_HOME"] = str(home)
    os.environ["cache_name"] = identity(device)  # so that nobody compiles anew where another finds what it needs
    os.environ["python_config_path"] = find_python_config() or ""
    # The PATH's is left for Jittor to find: it does without one that is not Open MPI's, but not if it was told of it.
    if mpicc is not None and os.environ.setdefault("mpicc_path", str(mpicc)) != str(mpicc):
        of_mpi = ()  # a user's own
    # Jittor asks each of its tools for its version whenever it starts: a third of its time to start. MPI is compiled
    # with the rest, and only a rank needs it; a debugger would only be asked once it has crashed.
    os.environ["use_mpi"] = "1" if COMPILING in os.environ or any(map(_is_of_mpi, os.environ)) else "0"
    os.environ.setdefault("gdb_path", "")
    return (onednn, *(of_mpi if os.environ["use_mpi"] == "1" else ()), *of_cuda)


def without_mpi(environment: Mapping[str, str]) -> dict[str, str]:
    """For a child of a rank, which is none: it must not wait for the others."""
    return {name: value for name, value in environment.items() if not _is_of_mpi(name)}


def _is_of_mpi(variable: str) -> bool:
    """Whether an environment variable of this name tells a process that it is a rank."""
    return variable.startswith(mpi.OF_RANKS)


def onednn_headers() -> Path:
    """The same folder for all environments, once it is prepared."""
    return Path(os.environ["JITTOR_HOME"]) / _ONEDNN_FOLDER / "include"


def _link_onednn(home: Path) -> Path:
    """Links oneDNN to where Jittor looks for it; returns its library."""
    found = find_onednn()
    assert found is not None, "a requirement"
    include, library = found
    folder = home / _ONEDNN_FOLDER
    (folder / "lib").mkdir(parents=True, exist_ok=True)
    for link, target in ((folder / "include", include), (folder / "lib" / "libmkldnn.so", library)):
        stand_ins.link(link, target)
    return library


def _set_cuda(home: Path | None) -> tuple[Path, ...]:
    """Tells Jittor of the CUDA that was found, or that there is none if `home` is None, and the compilers' flags;
    returns what to load."""
    device: Device = "cpu" if home is None else "cuda"
    # What is compiled in advance is only taken if nothing comes before it.
    wanted = precompiled.flag(device) + flags.wanted(device)
    kernel_flags = flags.for_operators(device)
    found = cuda.find() if home is not None else None
    libraries: tuple[Path, ...] = ()
    if home is None or found is None:
        os.environ["nvcc_path"] = ""
    else:
        settings = cuda.prepare(found, gpu_archs(), home)
        os.environ.update(settings.environment)
        wanted += settings.cc_flag
        libraries = settings.preload
    os.environ["cc_flags"], os.environ["kernel_flags"] = wanted, kernel_flags
    return libraries
