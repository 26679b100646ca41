"""What Jittor needs wherever it runs: the start refuses with the first that is not there, the doctor shows each.

To add one, write a function here: whatever has `@requirement` is both refused by the start and shown by the doctor.
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
import shutil
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from ecgan.errors import MachineError, reason
from ecgan.files import nearest
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.programs import ask, first_line
from ecgan.runtime.toolchain import (
    find_compiler,
    find_onednn,
    find_python_config,
    find_python_headers,
    python_config_name,
)

_JITTOR = "1.3.11"
#: From the oldest that this project is written for to the newest that Jittor has been seen to run on.
_PYTHONS = ((3, 10), (3, 14))
#: From here on Jittor is installed without what it asks for: NumPy 1, which does not exist for these Pythons.
_WITHOUT_NUMPY_1 = (3, 13)

#: uv makes environments without pip.
_INSTALL = f"{sys.executable} -m pip install" if find_spec("pip") else f"uv pip install --python {sys.executable}"
#: How a checkout is installed. A wheel is somewhere else by now, but pip knows what it asked for.
_IS_CHECKOUT = (Path(__file__).parents[2] / "pyproject.toml").is_file()
INSTALL_GPU = f"{_INSTALL} -e '.[gpu]'" if _IS_CHECKOUT else f"{_INSTALL} 'ecgan-cluster[gpu]'"
REINSTALL = (
    "install this project anew: "
    + (f"{_INSTALL} --no-deps jittor=={_JITTOR}.0 && " if sys.version_info >= _WITHOUT_NUMPY_1 else "")
    + (f"{_INSTALL} -e . -c constraints.txt" if _IS_CHECKOUT else f"{_INSTALL} ecgan-cluster")
)


@dataclass(frozen=True)
class Finding:
    """What there is of a requirement. `how`: how to get what is lacking; empty if nothing is."""

    found: str
    how: str = ""


@dataclass(frozen=True)
class Requirement:
    """`look(thorough)` finds out whether it is met. A start, which has little time, looks at what is there; thoroughly
    that is run, loaded and written to, as well."""

    name: str
    look: Callable[[bool], Finding]


#: In the order in which they are written below.
REQUIREMENTS: list[Requirement] = []


def insist() -> None:
    """Raises MachineError naming the first requirement that is not met, as far as a look can tell."""
    for each in REQUIREMENTS:
        finding = each.look(False)
        if finding.how:
            raise MachineError(f"{each.name}: {finding.found}", hint=finding.how)


def requirement(name: str) -> Callable[[Callable[[bool], Finding]], Callable[[bool], Finding]]:
    def add(look: Callable[[bool], Finding]) -> Callable[[bool], Finding]:
        REQUIREMENTS.append(Requirement(name, look))
        return look

    return add


@requirement("C++ compiler")
def compiler(thorough: bool) -> Finding:
    how = "install g++ (Debian: apt install g++; conda: gxx_linux-64; a cluster: module load gcc), or set cc_path"
    wanted = find_compiler()
    if wanted is None:
        return Finding("no g++ on the PATH", how)
    path = shutil.which(wanted)
    if path is None:
        return Finding(f"cc_path is {wanted}, which is no program", how)
    works, answer = ask([path, "--version"]) if thorough else (True, "")
    return Finding(f"{path}, {first_line(answer)}") if works else Finding(answer, how)


@requirement("Python")
def python(thorough: bool) -> Finding:
    oldest, newest = _PYTHONS
    fits = oldest <= sys.version_info[:2] <= newest
    how = "" if fits else f"use Python {oldest[0]}.{oldest[1]} to {newest[0]}.{newest[1]}"
    return Finding(f"{platform.python_version()}, {sys.executable}", how)


def _how_to_get_headers() -> str:
    version = f"python3.{sys.version_info.minor}"
    return f"install {version}-dev (Debian; elsewhere {version}-devel), or use a Python that has its headers"


@requirement("Python headers")
def python_headers(thorough: bool) -> Finding:
    header = find_python_headers()
    if header is None:
        return Finding(f"no Python.h in {sysconfig.get_paths()['include']}", _how_to_get_headers())
    return Finding(str(header))


@requirement(python_config_name())
def python_config(thorough: bool) -> Finding:
    path = find_python_config()
    if path is None:
        return Finding("neither beside Python nor on the PATH", _how_to_get_headers())
    works, answer = ask([path, "--includes"]) if thorough else (True, "")
    return Finding(path) if works else Finding(answer, _how_to_get_headers())


@requirement("Jittor")
def jittor(thorough: bool) -> Finding:
    version = installed("jittor")
    if version is None:
        return Finding("not installed", REINSTALL)
    if version != _JITTOR and not version.startswith(f"{_JITTOR}."):
        return Finding(f"{version}; this project is made for {_JITTOR}", REINSTALL)
    folder = Path(str(metadata.distribution("jittor").locate_file("jittor")))
    if _has_blank(folder):
        return Finding(
            f"{version}, which can't compile from {folder}: there is a blank in that name",
            f"install this project elsewhere than in {sys.prefix}",
        )
    return Finding(version)


@requirement("NumPy")
def numpy(thorough: bool) -> Finding:
    version = installed("numpy")
    if version is None:
        return Finding("not installed", REINSTALL)
    return Finding(version)


@requirement("oneDNN")
def onednn(thorough: bool) -> Finding:
    found = find_onednn()
    if found is None:
        return Finding("no oneDNN wheels in this environment", REINSTALL)
    _, library = found
    try:
        if thorough:
            ctypes.CDLL(str(library))
    except OSError as error:
        return Finding(str(error), "install the library that it names (Debian: apt install libgomp1)")
    return Finding(f"{installed('onednn-cpu-gomp') or 'of unknown version'}, {library}")


@requirement("cache folder")
def cache_folder(thorough: bool) -> Finding:
    """Compiled code is written here and loaded from here; if it is all there, reading is enough."""
    how = "set ECGAN_CACHE to a folder on a disk where you can write and run programs"
    folder = cache_dir()
    # Jittor's core compiles there, which takes minutes; then no operator does, since Jittor does not quote the name of
    # what stands in for Python (`starting`), nor those of some of CUDA's folders.
    if _has_blank(folder):
        return Finding(f"{folder}: Jittor can't compile in a folder with a blank in its name", how)
    if not thorough:
        return Finding(str(folder))
    try:
        existing = nearest(folder)
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Finding(f"{folder} is not writable ({reason(error)})", how)
    if os.statvfs(existing).f_flag & os.ST_NOEXEC:
        return Finding(f"{folder} is on a disk whose files can't be run (noexec)", how)
    return Finding(f"{folder}, writable")


def installed(distribution: str) -> str | None:
    """The version of an installed Python package."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _has_blank(path: Path) -> bool:
    return re.search(r"\s", str(path)) is not None
