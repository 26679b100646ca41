"""Finds what Jittor compiles with: compiler, Python's headers, oneDNN. Runs nothing."""

from __future__ import annotations

import os
import shutil
import sys
import sysconfig
from pathlib import Path


def find_compiler() -> str | None:
    """The C++ compiler that Jittor would take: cc_path, whatever it is, or g++ on the PATH."""
    return os.environ.get("cc_path") or shutil.which("g++")


def python_config_name() -> str:
    return f"python3.{sys.version_info.minor}-config"


def find_python_config() -> str | None:
    """The python3.X-config of the Python that runs, through which Jittor finds its headers."""
    beside = Path(sysconfig.get_config_var("BINDIR") or "/usr/bin") / python_config_name()
    return str(beside) if beside.is_file() else shutil.which(python_config_name())


def find_python_headers() -> Path | None:
    header = Path(sysconfig.get_paths()["include"]) / "Python.h"
    return header if header.is_file() else None


def find_onednn() -> tuple[Path, Path] | None:
    """(include folder, library) of the oneDNN wheels, which install into the environment's prefix."""
    for prefix in (sys.prefix, sys.base_prefix):
        include, library = Path(prefix) / "include", Path(prefix) / "lib" / "libdnnl.so.2"
        if (include / "dnnl.hpp").is_file() and library.is_file():
            return include, library
    return None
