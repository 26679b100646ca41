"""Programs that answer as a test wants, a PATH without some that are there, and packages that seem installed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


def program(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{text}\n")
    (folder / name).chmod(0o755)


def path_without(folder: Path, *hidden: str) -> str:
    """A PATH with every program that there is but the `hidden`: links to all others in `folder`."""
    folder.mkdir()
    for source in map(Path, os.environ["PATH"].split(os.pathsep)):
        for tool in source.iterdir() if source.is_dir() else ():
            if tool.name not in hidden and not (folder / tool.name).is_symlink():
                (folder / tool.name).symlink_to(tool)
    return str(folder)


def first_on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder whose programs come before all others, also for this process."""
    folder = tmp_path / "a 'bin' folder"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return folder


def distribution(folder: Path, name: str, version: str) -> Path:
    """`folder`, in which a package seems to be installed that hides another one of its name."""
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return folder
