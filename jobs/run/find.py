"""Which folders are runs, and where runs lie."""

from __future__ import annotations

import contextlib
from pathlib import Path

from jobs.run.folder import RunDir, run_beside
from jobs.run.kind import Kind

#: How deep runs may lie below a folder.
_DEPTH = 3
#: Where runs lie by default that are beside no results.
_FOLDERS = ("runs", "experiments")
#: In words, where runs are looked for by default.
PLACES = ", ".join([*(f"{name}/" for name in _FOLDERS), *(f"*{kind.suffix}" for kind in Kind if kind.suffix)])


def is_run(path: Path) -> bool:
    run = RunDir(path)
    return run.status.is_file() or run.plan.is_file()


def run_of(folder: Path) -> Path:
    """The run that makes the results folder `folder`, known by its name even before that is there; else `folder`."""
    whole = folder.absolute()
    beside = run_beside(whole, Kind.GENERATION) if whole.name else whole
    if is_run(folder) or not is_run(beside):
        return folder
    return folder.with_name(beside.name) if folder.name else beside


def runs_here(folder: Path) -> list[Path]:
    """Where commands that are started in `folder` put their runs by default: beside results, and below `_FOLDERS`."""
    beside = [path for kind in Kind if kind.suffix for path in folder.glob(f"*{kind.suffix}")]
    below = [path for name in _FOLDERS for path in find_runs(folder / name)]
    return [*sorted(path for path in beside if is_run(path)), *below]


def find_runs(folder: Path, depth: int = _DEPTH) -> list[Path]:
    """`folder` if it is a run, else those below it. What lies inside a run is its own."""
    if is_run(folder):
        return [folder]
    found: list[Path] = []
    with contextlib.suppress(OSError):  # not a folder, or none that we may look into
        for path in sorted(folder.iterdir()) if depth else ():
            found += find_runs(path, depth - 1)
    return found
