"""Tells a missing install from a mistake of ours, when a command's imports fail.

Commands run this file by its path, since where nothing is installed there is no `launch` to import it from.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

_PROJECT = "ecgan-cluster"
_PACKAGES = ("ecgan", "jobs", "slurm", "launch")


def exit_if_not_installed(missing: ModuleNotFoundError) -> None:
    """Ends the process with one line that says what to do if this project, or something that it needs, is not
    installed; else returns, and the traceback is what helps."""
    if _is_install(missing.name or ""):
        script = Path(sys.argv[0]).name
        how = f"run `make setup` once, then .venv/bin/python launch/{script}"
        if not script.endswith(".py"):  # an installed command
            how = f"install {_PROJECT} anew, with all that it asks for"
        sys.exit(f"error: {missing}: {how}")


def _is_install(module: str) -> bool:
    if "." in module:  # the package is there, but not what we say is in it
        return False
    if module in _PACKAGES:
        return True
    try:
        required = metadata.requires(_PROJECT) or []
    except metadata.PackageNotFoundError:
        return True
    return not all(_is_there(each) for each in required if "extra ==" not in each)


def _is_there(requirement: str) -> bool:
    """Whether the distribution that "NAME>=VERSION" asks for is installed, in whatever version."""
    name = re.match(r"[\w.-]+", requirement)
    try:
        metadata.version(name[0] if name else requirement)
    except metadata.PackageNotFoundError:
        return False
    return True
