"""What is measured, as found on disk."""

from __future__ import annotations

from pathlib import Path

from ecgan.data.images import PHOTO_SUFFIXES
from ecgan.data.testset import Item
from jobs.score.plan import Subject

#: Endings of a picture that is scored; the first is what a generation writes unless told otherwise.
RESULT_SUFFIXES = (".jpg", ".jpeg", ".png")


def find_result(results: Path, name: str) -> Path | None:
    """The picture of that name in a results folder, of whatever format; None if there is none."""
    return next((path for suffix in RESULT_SUFFIXES if (path := results / (name + suffix)).is_file()), None)


def subject_of(item: Item, picture: Path) -> Subject:
    """Raises OSError if a file has gone."""
    identity = _identity(picture, item.mask, item.reference)
    return Subject(item.name, str(picture), identity, str(item.mask.absolute()), str(item.reference.absolute()))


def find_photos(folder: Path) -> list[Subject]:
    """Every photo in `folder`, in the order of their names. Raises OSError."""
    paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in PHOTO_SUFFIXES)
    return [Subject(path.name, str(path.absolute()), _identity(path)) for path in paths]


def _identity(*paths: Path) -> str:
    stats = [path.stat() for path in paths]
    return " ".join(f"{stat.st_size}:{stat.st_mtime_ns}" for stat in stats)
