"""A test set: masks, and the photo whose style each shall take (docs/specification.md, section 1)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from ecgan.config import ModelConfig
from ecgan.data.faults import Fault
from ecgan.data.folders import (
    MASK_SUFFIX,
    by_stem,
    is_dropping,
    is_ignored,
    is_usable,
    listing,
    rename_it,
    with_suffix,
)
from ecgan.data.images import Size
from ecgan.data.opening import File, look_at
from ecgan.errors import reason
from ecgan.file_notes import FileNotes
from ecgan.files import read_any_json
from ecgan.progress import progress_bar

REFERENCES = "label_to_img.json"
_MASK_FOLDERS = ("val_B_labels_resized", "labels", "lables")


@dataclass(frozen=True)
class Item:
    """One picture to make. `name` is the mask's stem: the result's name, and the key of its noise."""

    name: str
    mask: Path
    reference: Path


@dataclass(frozen=True)
class TestSet:
    """`items` are all pictures that could be made, faulty ones included, in the order of their names: none if there
    are no photos, or it is not known which belongs to which mask."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Checked:
    """`faults`: what can't be used, by item name. `digests`: SHA-256 of each of the other files, masks and photos;
    `sizes`: of the masks among them."""

    faults: tuple[Fault, ...]
    digests: dict[Path, bytes]
    sizes: dict[Path, Size]


def find_test_set(input_path: Path, img_path: Path) -> TestSet:
    """Pairs masks with references without opening pictures; everything amiss is in `faults`.

    `input_path`: folder with label_to_img.json and, in a folder beside it, the masks; or the
    masks' folder itself. `img_path`: folder of the reference photos.
    """
    faults = [Fault(None, f"{path}: no such folder") for path in (input_path, img_path) if not path.is_dir()]
    if not input_path.is_dir():
        return TestSet((), tuple(faults))
    try:
        masks_folder, fault = _find_masks(input_path)
        masks = by_stem(with_suffix(masks_folder, [MASK_SUFFIX])) if masks_folder else {}
    except OSError as error:
        return TestSet((), (*faults, Fault(None, f"{error.filename}: can't be read ({reason(error)})")))
    references, more = _read_references(_find_references(input_path))
    faults += [*fault, *more]
    if masks_folder is None or references is None or not img_path.is_dir():
        return TestSet((), tuple(faults))

    items = []
    photos: dict[str, Path] = {}  # those that were found: many masks may have one
    for stem, paths in masks.items():
        if amiss := _unusable(stem, paths):
            faults += amiss
            continue
        mask, reference = paths[0], references.get(paths[0].name)
        photo = photos.get(reference or "") or img_path / (reference or "")
        if reference is None:
            faults.append(Fault(stem, f"{mask}: no reference in {REFERENCES}"))
        elif reference in photos or _exists(photo, reference):
            photos[reference] = photo
        else:
            faults.append(Fault(stem, f"{photo}: does not exist (reference of {mask.name})"))
        items.append(Item(stem, mask, photo))
    present = {mask.name for paths in masks.values() for mask in paths}
    faults += [
        Fault(None, f"{masks_folder / name}: named in {REFERENCES}, {_why_absent(name)}")
        for name in sorted(references)
        if name not in present and not is_dropping(name)
    ]
    return TestSet(tuple(items), tuple(faults))


def check_pictures(items: Iterable[Item], model: ModelConfig, notes: FileNotes) -> Checked:
    """Opens every mask and every reference once, unless `notes` know it. They are `opening.notes_on_files`."""
    items = list(items)
    by_reference: dict[Path, list[Item]] = {}
    for item in items:
        by_reference.setdefault(item.reference, []).append(item)
    files = [*(File(item.mask, "mask") for item in items), *(File(path, "photo") for path in by_reference)]
    with progress_bar(len(files), "checking input", "file") as bar:
        seen = look_at(files, model, notes, bar.update)
    faults: list[Fault] = []
    digests: dict[Path, bytes] = {}
    for (path, _), of, found in zip(files, chain(([item] for item in items), by_reference.values()), seen, strict=True):
        if found.fault is None:
            digests[path] = bytes.fromhex(found.sha256)
        else:
            faults += (Fault(item.name, found.fault) for item in of)
    looks = zip(files, seen, strict=True)
    sizes = {path: found.size for (path, kind), found in looks if kind == "mask" and found.fault is None}
    return Checked(tuple(faults), digests, sizes)


def squeezed(sizes: Mapping[Path, Size], to: Size, tolerance: float = 0.05) -> list[Path]:
    """Masks whose aspect ratio differs from that of `to`, at which the network sees them, by more than `tolerance`."""
    ratios = {mask: width / height / (to[0] / to[1]) for mask, (width, height) in sizes.items()}
    return [mask for mask, ratio in sorted(ratios.items()) if max(ratio, 1 / ratio) > 1 + tolerance]


def _find_masks(input_path: Path) -> tuple[Path | None, list[Fault]]:
    for name in _MASK_FOLDERS:
        if (input_path / name).is_dir():
            return input_path / name, []
    if _has_masks(input_path):
        return input_path, []
    candidates = [path for path in listing(input_path) if path.is_dir() and _has_masks(path)]
    if len(candidates) == 1:
        return candidates[0], []
    if candidates:
        names = ", ".join(path.name for path in candidates)
        return None, [Fault(None, f"{input_path}: several folders hold PNG files ({names}); name the masks' own")]
    return None, [Fault(None, f"{input_path}: no masks: neither {_MASK_FOLDERS[0]}/ nor any folder with PNG files")]


def _unusable(stem: str, masks: list[Path]) -> list[Fault]:
    """Why none of the masks of that stem can be the one that a picture is made of."""
    faults = [Fault(None, rename_it(mask)) for mask in masks if not is_usable(mask.name)]
    if faults or len(masks) == 1:
        return faults
    return [Fault(stem, f"{mask}: another mask gives the same result {stem}") for mask in masks]


def _why_absent(name: str) -> str:
    return "is hidden by its dot and no input: rename it" if is_ignored(name) else "does not exist"


def _exists(path: Path, name: str) -> bool:
    """Whether there is a file that was called `name`."""
    return all(is_usable(part) for part in name.split("/")) and path.exists()


def _has_masks(folder: Path) -> bool:
    try:
        return bool(with_suffix(folder, [MASK_SUFFIX]))
    except PermissionError:  # lost+found, where the set lies at the root of a disk
        return False


def _find_references(input_path: Path) -> Path:
    beside = input_path / REFERENCES
    above = input_path.absolute().parent / REFERENCES
    return above if above.is_file() and not os.path.lexists(beside) else beside


def _read_references(path: Path) -> tuple[dict[str, str] | None, list[Fault]]:
    """Mask file name -> photo file name; None if the file can't be used at all."""
    faults: list[Fault] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        faults.extend(Fault(None, f"{path}: {key} is named {n} times") for key, n in counts.items() if n > 1)
        return dict(pairs)

    try:
        references = read_any_json(path, object_pairs_hook=collect)
    except OSError as error:
        return None, [Fault(None, f"{path}: {reason(error)}; it says which photo each mask takes its style from")]
    except ValueError as error:
        return None, [Fault(None, f"{path}: not valid JSON ({error})")]
    if not isinstance(references, dict) or not all(isinstance(name, str) and name for name in references.values()):
        return None, [Fault(None, f'{path}: must be of the form {{"MASK.png": "PHOTO.jpg", …}}')]
    return references, faults
