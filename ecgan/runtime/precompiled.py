"""Jittor's headers, compiled once for all of its core and once for all operators.

To read them takes three quarters of the time in which an operator is compiled, and half of that of a file of the core.
g++ takes what fits its flags and passes over what does not, so with and without it makes the same of a file.
"""

from __future__ import annotations

import contextlib
import os
import platform
import shlex
import shutil
import subprocess
import sysconfig
from pathlib import Path

from ecgan.files import clear_leftovers, make_folder_once, whole_folder
from ecgan.runtime import copied, flags
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.devices import Device
from ecgan.runtime.stamps import identity
from ecgan.runtime.toolchain import find_compiler

#: What every file is compiled with, and beside it the folder of what was made of it, where g++ looks.
_HEADER, _COMPILED = "jittor.h", "jittor.h.gch"
#: Jittor's own flags.
_ALWAYS = ("-Wall", "-Wno-unknown-pragmas", "-std=c++14", "-fPIC")


def flag(device: Device) -> str:
    """For the compilers' lines, in one word between blanks; empty where it does not serve: g++ has this way alone,
    and nvcc, which gets the same flags, another. `lay_out` makes what it names."""
    return f" -include{_folder(device) / _HEADER} " if device == "cpu" and flags.gcc_version() else ""


def lay_out(device: Device) -> None:
    """The header itself, with which commands are right already. Raises OSError if it can't be written."""
    if flag(device):
        header = flags.SOURCES / _HEADER
        make_folder_once(_folder(device), lambda new: shutil.copyfile(header, new / _HEADER))


def compile_headers(device: Device) -> None:
    """For the core and for operators, at the same time. The environment must have been prepared.

    Does without what can't be made, or can't be used here: it would only have saved time.
    """
    if not flag(device):
        return
    folder = _folder(device)
    clear_leftovers(folder)
    shutil.rmtree(folder / _COMPILED, ignore_errors=True)
    with contextlib.suppress(OSError), whole_folder(folder / _COMPILED) as new:
        make = ("-x", "c++-header", str(folder / _HEADER), "-o")
        compilers = [_compiler(kind, *make, str(new / kind)) for kind in ("core", "operators")]
        for compiler in compilers:
            compiler.wait()
    for kind in ("core", "operators"):
        if _compiler(kind, *shlex.split(flag(device)), "-fsyntax-only", "-x", "c++", os.devnull).wait():
            shutil.rmtree(folder / _COMPILED, ignore_errors=True)


def drop_core(device: Device) -> None:
    """Removes what nothing but the core is compiled with; it is large."""
    if flag(device):
        (_folder(device) / _COMPILED / "core").unlink(missing_ok=True)


def _compiler(kind: str, *words: str) -> subprocess.Popen[bytes]:
    """A compiler that runs with the flags that Jittor will give it for the core, or for operators."""
    jittor, python = copied.folder() / "jittor", sysconfig.get_paths()
    command = [shutil.which(find_compiler() or "g++") or "g++", *_ALWAYS]
    if platform.machine() in ("x86_64", "AMD64"):
        command.append("-march=native")
    command += shlex.split(os.environ["cc_flags"].replace(flag("cpu"), " "))
    command += [f"-I{path}" for path in (jittor / "src", jittor / "extern", python["include"], python["platinclude"])]
    if kind == "operators":
        command += [*shlex.split(os.environ.get("kernel_flags", "")), "-fopenmp"]
    return subprocess.Popen([*command, *words], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _folder(device: Device) -> Path:
    return cache_dir() / f"{flags.PRECOMPILED}{identity(device)}"
