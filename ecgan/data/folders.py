"""What lies in a folder of pictures, and how it is called.

Operating systems leave files of their own among those of a user, and names may be such that nothing can be done
with them: what that means is decided here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from ecgan.data.images import ENCODINGS
from ecgan.errors import reason

#: Endings of a photo's, a mask's and a result's name, in lower case; of results with one stem the first counts.
PHOTO_SUFFIXES = (".jpg", ".jpeg", ".png")
MASK_SUFFIX = ".png"
_RESULT_SUFFIXES = tuple(dict.fromkeys((*PHOTO_SUFFIXES, *(f".{ending}" for ending in ENCODINGS))))

_DROPPINGS = {"thumbs.db", "ehthumbs.db", "desktop.ini", ".ds_store", "__macosx", "@eadir", ".directory"}
#: Bytes in a file name, as most file systems have it.
_LONGEST_NAME = 255


def is_dropping(name: str) -> bool:
    """Whether an operating system leaves files or folders of that name, which nobody misses."""
    return name.lower() in _DROPPINGS or name.startswith("._")


def is_ignored(name: str) -> bool:
    """Whether no file or folder of that name is taken for input: droppings, and what is hidden by a dot."""
    return name.startswith(".") or is_dropping(name)


def listing(folder: Path) -> list[Path]:
    """What lies in `folder`, in the order of names, without what is ignored. Raises OSError."""
    return [folder / name for name in _names(folder)]


def with_suffix(folder: Path, suffixes: Iterable[str]) -> list[Path]:
    """Those of `listing` whose name ends so, in whatever case. Links are not followed: one may lead nowhere."""
    wanted = tuple(suffixes)  # of names, since paths are slow to make and to compare
    return [folder / name for name in _names(folder) if name.lower().endswith(wanted)]


def _names(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if not is_ignored(name))


def by_stem(paths: Iterable[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for path in paths:
        found.setdefault(path.stem, []).append(path)
    return found


def find_pictures(folder: Path) -> dict[str, Path]:
    """The picture of each stem in a folder of results, of whatever format. Raises OSError."""
    return {
        stem: min(paths, key=lambda path: _RESULT_SUFFIXES.index(path.suffix.lower()))
        for stem, paths in by_stem(with_suffix(folder, _RESULT_SUFFIXES)).items()
    }


def stamp(path: Path) -> str:
    """What changes when the file at `path` does; of one that can't be reached the reason."""
    try:
        found = path.stat()
    except OSError as error:
        return reason(error)
    return f"{found.st_size}:{found.st_mtime_ns}"


def is_usable(name: str) -> bool:
    """Whether a file of that name can exist, and be noted in a text file."""
    try:
        return len(name.encode()) <= _LONGEST_NAME and "\0" not in name
    except UnicodeEncodeError:
        return False


def rename_it(path: Path) -> str:
    """What is told of a file whose name is not usable."""
    return f"{path.parent / ascii(path.name)}: rename it, its name is too long or not UTF-8"


def printable(text: str) -> str:
    """`text` in one line that any terminal and any UTF-8 file takes, whatever stands in the names that it quotes."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
