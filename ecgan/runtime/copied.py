"""A copy of Jittor in the cache, from which it is imported.

Where Jittor lies stands in each command by which it compiles, and what it has compiled it knows again by the command.
From a copy that is named by what is in it, all environments that have the same Jittor give the same commands.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

from ecgan.errors import MachineError
from ecgan.files import make_folder_once
from ecgan.runtime.cache import cache_dir

_PACKAGES = ("jittor/", "jittor_utils/")


def folder() -> Path:
    """Where `jittor` and `jittor_utils` are to be imported from: the copy, or where they are installed if no copy can
    be named, since whoever installed them has kept no record of what is in their files."""
    digest = _digest()
    if digest is None:
        return _installed()
    return cache_dir() / f"jittor-{metadata.version('jittor')}-{digest}"


def lay_out() -> None:
    """Makes the copy, if there is none.

    Raises MachineError if what is installed is not what its record says, OSError if the copy can't be written.
    """
    if folder() != _installed():
        make_folder_once(folder(), _fill)


def _fill(new: Path) -> None:
    for name, recorded in _recorded():
        source = _installed() / name
        content = source.read_bytes() if source.is_file() else b""
        found = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        if recorded != f"sha256={found}":
            raise MachineError(f"{source} is not as it was installed", hint="install Jittor anew")
        (new / name).parent.mkdir(parents=True, exist_ok=True)
        (new / name).write_bytes(content)


def _installed() -> Path:
    return Path(str(metadata.distribution("jittor").locate_file("")))


@cache
def _digest() -> str | None:
    recorded = _recorded()
    return hashlib.sha256(repr(recorded).encode()).hexdigest()[:12] if recorded else None


def _recorded() -> list[tuple[str, str]]:
    """Name and hash of each of Jittor's files, in order."""
    lines = (metadata.distribution("jittor").read_text("RECORD") or "").splitlines()
    files = (line.rsplit(",", 2) for line in lines if line.startswith(_PACKAGES))
    return sorted((name, recorded) for name, recorded, _ in files if recorded)
