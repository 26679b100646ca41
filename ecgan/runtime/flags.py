"""What is added to the compilers' lines, so that Jittor 1.3.11 compiles and computes with what is newer than it.

Jittor puts the variable `cc_flags` before its own folders of headers; a header of ours there stands in for one of its.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from functools import cache
from pathlib import Path

from ecgan.runtime import cuda
from ecgan.runtime.cache import cache_dir
from ecgan.runtime.programs import ask
from ecgan.runtime.toolchain import find_compiler

_SOURCES = Path(__file__).parent / "overlay"
#: Names the folder of headers, before their digest: Jittor compiles anew where flags differ, not where headers do.
_NAME = "headers-"
#: From g++ 15 on: Jittor takes for granted that <cstdint> comes with other headers, and has templates whose bodies no
#: longer pass if they are never used. Each in one word: others Jittor would take for files to compile.
_SINCE_GCC_15 = ("-includecstdint", "-Wno-template-body")
_OURS = re.compile(rf' *-I"[^"]*/{_NAME}[0-9a-f]+"|(?: +{"| +".join(_SINCE_GCC_15)})(?= |$)')


def ours() -> str:
    """The flags for this machine's compiler, each after a blank. `lay_out_headers` makes what they name."""
    newer = _SINCE_GCC_15 if gcc_version() >= 15 else ()
    return "".join(f" {flag}" for flag in (f'-I"{_folder()}"', *newer))


def without_ours(cc_flags: str) -> str:
    """What a user set; a parent process of ours may have added to it."""
    return _OURS.sub("", cuda.without_our_flags(cc_flags))


def lay_out_headers() -> None:
    """Raises OSError if that can't be written."""
    folder = _folder()
    if folder.is_dir():
        return
    new = folder.with_name(f".{folder.name}.{os.getpid()}")
    shutil.rmtree(new, ignore_errors=True)
    shutil.copytree(_SOURCES, new)
    try:
        new.rename(folder)
    except OSError:
        shutil.rmtree(new, ignore_errors=True)  # another process was first
        if not folder.is_dir():
            raise


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
    digest = hashlib.sha256()
    for file in sorted(_SOURCES.rglob("*.h")):
        digest.update(str(file.relative_to(_SOURCES)).encode() + b"\0" + file.read_bytes())
    return cache_dir() / f"{_NAME}{digest.hexdigest()[:12]}"
