"""What is added to the compilers' lines, so that Jittor 1.3.11 compiles and computes with what is newer than it.

Jittor puts the variable `cc_flags` before its own folders of headers; a header of ours there stands in for one of its.
"""

from __future__ import annotations

import os
import re
import shutil
from functools import cache
from pathlib import Path

from ecgan.files import digest_of_all, make_folder_once
from ecgan.runtime import cuda
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.devices import Device
from ecgan.runtime.programs import ask
from ecgan.runtime.toolchain import find_compiler

SOURCES = Path(__file__).parent / "overlay"
#: Names the folder of headers, before their digest: Jittor compiles anew where flags differ, not where headers do.
_NAME = "headers-"
#: Names the folder of what is made of headers in advance (`precompiled`), before what it is made with.
PRECOMPILED = "precompiled-"
#: From g++ 15 on: Jittor takes for granted that <cstdint> comes with other headers, and has templates whose bodies no
#: longer pass if they are never used. Each in one word: others Jittor would take for files to compile.
_SINCE_GCC_15 = ("-includecstdint", "-Wno-template-body")
#: Of Jittor's core, which takes a little of the time of a small step and a third less to compile than as Jittor would,
#: with -O2; no operator is compiled otherwise, for which Jittor's own level is said again where it would be left away.
_CORE, _OPERATORS = " -O1", " -Ofast"
_OURS = re.compile(
    rf' *-I"[^"]*/{_NAME}[0-9a-f]+"(?:{_CORE}(?= |$))?'
    rf"| *-include[^ ]*/{PRECOMPILED}[^ ]+ ?|(?: +{'| +'.join(_SINCE_GCC_15)})(?= |$)"
)


def wanted(device: Device) -> str:
    """What a user has in cc_flags and the flags for this machine's compiler, each after a blank.

    `lay_out_headers` makes what they name.
    """
    newer = _SINCE_GCC_15 if gcc_version() >= 15 else ()
    return without_ours(_given()) + "".join(f" {flag}" for flag in (f'-I"{_folder()}"{_level(device)}', *newer))


def for_operators(device: Device) -> str:
    """What kernel_flags has to be, given what it is, where `wanted` are the flags for all."""
    given = os.environ.get("kernel_flags", "")
    if _has_level():
        return given
    return given.removesuffix(_OPERATORS) + (_OPERATORS if _level(device) else "")


def without_ours(cc_flags: str) -> str:
    """What a user set; a parent process of ours may have added to it."""
    return _OURS.sub("", cuda.without_our_flags(cc_flags))


def lay_out_headers() -> None:
    """Raises OSError if that can't be written."""
    make_folder_once(_folder(), lambda new: shutil.copytree(SOURCES, new, dirs_exist_ok=True))


def _level(device: Device) -> str:
    """Of Jittor's core: its own where a user has one, and for nvcc, to which it would say something else."""
    return _CORE if device == "cpu" and gcc_version() and not _has_level() else ""


def _has_level() -> bool:
    """Whether a user's flags have a level of optimisation; Jittor adds none then, to operators neither."""
    return " -O" in f" {without_ours(_given())}"


def _given() -> str:
    return os.environ.get("cc_flags", "")


def gcc_version() -> int:
    """The number before the first point; 0 for a compiler that is not GCC, or none."""
    program = shutil.which(find_compiler() or "g++")
    return _version(program) if program is not None else 0


@cache
def _version(compiler: str) -> int:
    works, answer = ask([compiler, "-dumpfullversion"])  # of which other compilers know nothing
    number = re.match(r"\d+", answer)
    return int(number[0]) if works and number else 0


def _folder() -> Path:
    return cache_dir() / f"{_NAME}{digest_of_all(SOURCES.rglob('*.h'), SOURCES)}"
