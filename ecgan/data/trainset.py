"""A training set: photos and masks that belong together by name (docs/specification.md, section 1)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.data.images import PHOTO_SUFFIXES, BadImage, read_mask, read_photo
from ecgan.data.testset import Fault
from ecgan.errors import UserError
from ecgan.progress import progress_bar

PHOTO_FOLDER, MASK_FOLDERS = "imgs", ("labels", "lables")
_MASK_SUFFIX = ".png"
_CHECKERS = min(8, 2 * (os.cpu_count() or 1))


@dataclass(frozen=True)
class Pair:
    """A photo and its mask. `name` is the stem common to both files."""

    name: str
    photo: Path
    mask: Path


@dataclass(frozen=True)
class TrainingSet:
    """`pairs` in the order of their names, without the `excluded` ones, which are counted."""

    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]
    excluded: int


def find_training_set(input_path: Path, exclude: Collection[str] = ()) -> TrainingSet:
    """Pairs photos with masks by name without opening any; everything amiss is in `faults`.

    `input_path`: folder with imgs/ and labels/ (or lables/). `exclude`: stems that are left out.
    """
    if not input_path.is_dir():
        return TrainingSet((), (Fault(None, f"{input_path}: no such folder"),), 0)
    photo_folder = input_path / PHOTO_FOLDER
    mask_folder = next((input_path / name for name in MASK_FOLDERS if (input_path / name).is_dir()), None)
    faults = []
    if not photo_folder.is_dir():
        faults.append(Fault(None, f"{photo_folder}: no such folder; the training photos belong there"))
    if mask_folder is None:
        faults.append(Fault(None, f"{input_path / MASK_FOLDERS[0]}: no such folder; the training masks belong there"))
    if faults or mask_folder is None:
        return TrainingSet((), tuple(faults), 0)

    photos, doubled = _by_stem(photo_folder, PHOTO_SUFFIXES)
    masks, _ = _by_stem(mask_folder, (_MASK_SUFFIX,))
    present = photos.keys() | masks.keys()
    excluded = {name for name in present if name in exclude}
    for name in sorted(present - excluded):
        if name in doubled:
            faults.append(Fault(name, f"{photos[name]}: another photo has the same name with another ending"))
        elif name not in masks:
            faults.append(Fault(name, f"{photos[name]}: no mask {mask_folder / (name + _MASK_SUFFIX)}"))
        elif name not in photos:
            faults.append(Fault(name, f"{masks[name]}: no photo {photo_folder / (name + PHOTO_SUFFIXES[0])}"))
    usable = (photos.keys() & masks.keys()) - excluded - doubled
    pairs = tuple(Pair(name, photos[name], masks[name]) for name in sorted(usable))
    return TrainingSet(pairs, tuple(faults), len(excluded))


def read_exclude_list(path: Path) -> frozenset[str]:
    """Stems of the photos that `path` names, one file name or stem a line; empty lines and # comments are allowed.

    Raises UserError if it can't be read.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise UserError(f"can't read the exclusion list {path}: {error.strerror}") from None
    except UnicodeError:
        raise UserError(f"the exclusion list {path} is not a UTF-8 text") from None
    names = (line.strip() for line in lines)
    return frozenset(_stem(name) for name in names if name and not name.startswith("#"))


def check_pairs(pairs: Iterable[Pair], model: ModelConfig) -> list[Fault]:
    """Opens every photo and mask once, in parallel; returns what can't be used, by pair."""
    pairs = list(pairs)

    def check(pair: Pair) -> Fault | None:
        try:
            read_photo(pair.photo)
            read_mask(pair.mask, model)
        except BadImage as error:
            return Fault(pair.name, str(error))
        return None

    faults = []
    with ThreadPoolExecutor(_CHECKERS) as pool, progress_bar(len(pairs), "checking input", "pair") as bar:
        try:
            for fault in pool.map(check, pairs):
                faults += [fault] if fault else []
                bar.update()
        except BaseException:  # interrupted: leaving the pool would read all that is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return faults


def _by_stem(folder: Path, suffixes: tuple[str, ...]) -> tuple[dict[str, Path], set[str]]:
    """Files by stem, and the stems that several files share."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in suffixes)
    counts = Counter(path.stem for path in files)
    return {path.stem: path for path in files}, {stem for stem, count in counts.items() if count > 1}


def _stem(name: str) -> str:
    path = Path(name)
    return path.stem if path.suffix.lower() in (*PHOTO_SUFFIXES, _MASK_SUFFIX) else path.name
