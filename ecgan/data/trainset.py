"""A training set: photos and masks that belong together by name (docs/specification.md, section 1)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.data.exclusion import Entry, LeftOut, leave_out
from ecgan.data.faults import Fault
from ecgan.data.folders import MASK_SUFFIX, PHOTO_SUFFIXES, by_stem, is_usable, rename_it, with_suffix
from ecgan.data.opening import File, look_at
from ecgan.errors import reason
from ecgan.file_notes import FileNotes
from ecgan.progress import progress_bar

PHOTO_FOLDER, MASK_FOLDERS = "imgs", ("labels", "lables")


@dataclass(frozen=True)
class Pair:
    """A photo and its mask. `name` is the stem common to both files."""

    name: str
    photo: Path
    mask: Path


@dataclass(frozen=True)
class TrainingSet:
    """`pairs` in the order of their names, without the `excluded` ones."""

    pairs: tuple[Pair, ...]
    faults: tuple[Fault, ...]
    excluded: LeftOut = LeftOut()


def find_training_set(input_path: Path, exclude: Iterable[Entry] = ()) -> TrainingSet:
    """Pairs photos with masks by name without opening any; everything amiss is in `faults`.

    `input_path`: folder with imgs/ and labels/ (or lables/). `exclude`: what is left out.
    """
    if not input_path.is_dir():
        return TrainingSet((), (Fault(None, f"{input_path}: no such folder"),))
    photo_folder = input_path / PHOTO_FOLDER
    mask_folder = next((input_path / name for name in MASK_FOLDERS if (input_path / name).is_dir()), None)
    faults = []
    if not photo_folder.is_dir():
        faults.append(Fault(None, f"{photo_folder}: no such folder; the training photos belong there"))
    if mask_folder is None:
        faults.append(Fault(None, f"{input_path / MASK_FOLDERS[0]}: no such folder; the training masks belong there"))
    if faults or mask_folder is None:
        return TrainingSet((), tuple(faults))
    try:
        photos = by_stem(with_suffix(photo_folder, PHOTO_SUFFIXES))
        masks = by_stem(with_suffix(mask_folder, [MASK_SUFFIX]))
    except OSError as error:
        return TrainingSet((), (Fault(None, f"{error.filename}: can't be read ({reason(error)})"),))

    excluded = leave_out(exclude, [path for found in (photos, masks) for paths in found.values() for path in paths])
    pairs = []
    for name in sorted((photos.keys() | masks.keys()) - excluded.names):
        of_photos, of_masks = photos.get(name, []), masks.get(name, [])
        if amiss := _unusable(name, of_photos) + _unusable(name, of_masks):
            faults += amiss
        elif not of_masks:
            faults.append(Fault(name, f"{of_photos[0]}: no mask {mask_folder / (name + MASK_SUFFIX)}"))
        elif not of_photos:
            faults.append(Fault(name, f"{of_masks[0]}: no photo {photo_folder / (name + PHOTO_SUFFIXES[0])}"))
        else:
            pairs.append(Pair(name, of_photos[0], of_masks[0]))
    return TrainingSet(tuple(pairs), tuple(faults), excluded)


def _unusable(name: str, files: list[Path]) -> list[Fault]:
    """Why none of the photos, or of the masks, of that name can be the one of a pair."""
    faults = [Fault(None, rename_it(path)) for path in files if not is_usable(path.name)]
    if faults or len(files) < 2:
        return faults
    return [Fault(name, f"{' and '.join(map(str, files))}: one name with several endings; which is of the pair?")]


def check_pairs(pairs: Iterable[Pair], model: ModelConfig, notes: FileNotes) -> list[Fault]:
    """Opens every photo and mask once, unless `notes` know it; returns what can't be used, by pair. They are
    `opening.notes_on_files`."""
    pairs = list(pairs)
    files = [file for pair in pairs for file in (File(pair.photo, "photo"), File(pair.mask, "mask"))]
    with progress_bar(len(files), "checking input", "file") as bar:
        seen = iter(look_at(files, model, notes, bar.update))
    reasons = [photo.fault or mask.fault for photo, mask in zip(seen, seen, strict=True)]
    return [Fault(pair.name, reason) for pair, reason in zip(pairs, reasons, strict=True) if reason]
