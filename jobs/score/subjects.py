"""What is measured, as found on disk."""

from __future__ import annotations

from pathlib import Path

from ecgan.data.folders import PHOTO_SUFFIXES, stamp, with_suffix
from ecgan.data.testset import Item
from jobs.score.plan import Subject


def subject_of(item: Item, picture: Path) -> Subject:
    identity = _identity(picture, item.mask, item.reference)
    return Subject(item.name, str(picture), identity, str(item.mask.absolute()), str(item.reference.absolute()))


def find_photos(folder: Path) -> list[Subject]:
    """Every photo in `folder`, in the order of their names. Raises OSError."""
    return [Subject(path.name, str(path.absolute()), _identity(path)) for path in with_suffix(folder, PHOTO_SUFFIXES)]


def _identity(*paths: Path) -> str:
    return " ".join(stamp(path) for path in paths)
