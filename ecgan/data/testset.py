"""A test set: masks, and the photo whose style each shall take (docs/specification.md, section 1)."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ecgan.config import ModelConfig
from ecgan.data.images import BadImage, read_bytes, read_mask, read_photo
from ecgan.progress import progress_bar

REFERENCES = "label_to_img.json"
_MASK_FOLDERS = ("val_B_labels_resized", "labels", "lables")
_MASK_SUFFIX = ".png"
#: Bytes in a file name, as most file systems have it.
_LONGEST_NAME = 255
_CHECKERS = min(8, 2 * (os.cpu_count() or 1))
#: Decodes a file whose bytes are at hand; raises BadImage.
_Reader = Callable[[Path, bytes], object]


@dataclass(frozen=True)
class Item:
    """One picture to make. `name` is the mask's stem: the result's name, and the key of its noise."""

    name: str
    mask: Path
    reference: Path


@dataclass(frozen=True)
class Fault:
    """Something wrong with the input. `name` is the picture it concerns; None if it is not about one."""

    name: str | None
    reason: str


@dataclass(frozen=True)
class TestSet:
    """`items` are all pictures that could be made, faulty ones included, in the order of their names."""

    items: tuple[Item, ...]
    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Checked:
    """`faults`: what can't be used, by item name. `digests`: SHA-256 of each of the other files, masks and photos."""

    faults: tuple[Fault, ...]
    digests: dict[Path, bytes]


def find_test_set(input_path: Path, img_path: Path) -> TestSet:
    """Pairs masks with references without opening pictures; everything amiss is in `faults`.

    `input_path`: folder with label_to_img.json and, in a folder beside it, the masks; or the
    masks' folder itself. `img_path`: folder of the reference photos.
    """
    faults = [Fault(None, f"{path}: no such folder") for path in (input_path, img_path) if not path.is_dir()]
    if not input_path.is_dir():
        return TestSet((), tuple(faults))
    masks_folder, fault = _find_masks(input_path)
    faults += fault
    references, fault = _read_references(_find_references(input_path))
    faults += fault
    if masks_folder is None:
        return TestSet((), tuple(faults))

    masks = sorted(path for path in masks_folder.iterdir() if path.suffix.lower() == _MASK_SUFFIX)
    stems = Counter(path.stem for path in masks)
    items = []
    for mask in masks:
        if not _is_usable(mask.name):
            faults.append(
                Fault(None, f"{mask.parent / ascii(mask.name)}: rename it, its name is too long or not UTF-8")
            )
            continue
        if stems[mask.stem] > 1:
            faults.append(Fault(mask.stem, f"{mask}: another mask gives the same result {mask.stem}"))
            continue
        reference = references.get(mask.name) if references is not None else None
        if references is not None and reference is None:
            faults.append(Fault(mask.stem, f"{mask}: no reference in {REFERENCES}"))
        items.append(Item(mask.stem, mask, img_path / (reference or "")))
        if reference is not None and img_path.is_dir() and not _is_file(img_path, reference):
            faults.append(Fault(mask.stem, f"{img_path / reference}: does not exist (reference of {mask.name})"))
    present = {mask.name for mask in masks}
    faults += [
        Fault(None, f"{masks_folder / name}: named in {REFERENCES}, does not exist")
        for name in sorted(references or {})
        if name not in present
    ]
    return TestSet(tuple(items), tuple(faults))


def check_pictures(items: Iterable[Item], model: ModelConfig) -> Checked:
    """Opens every mask and every reference once, in parallel."""
    items = list(items)
    by_reference: dict[Path, list[Item]] = {}
    for item in items:
        by_reference.setdefault(item.reference, []).append(item)

    def read_labels(path: Path, content: bytes) -> object:
        return read_mask(path, model, content)

    files: list[tuple[Path, list[Item], _Reader]] = [
        *((item.mask, [item], read_labels) for item in items),
        *((path, of, read_photo) for path, of in by_reference.items()),
    ]

    def check(file: tuple[Path, list[Item], _Reader]) -> tuple[bytes | None, list[Fault]]:
        path, of, read = file
        try:
            content = read_bytes(path)
            read(path, content)
        except BadImage as error:
            return None, [Fault(item.name, str(error)) for item in of]
        return hashlib.sha256(content).digest(), []

    faults: list[Fault] = []
    digests: dict[Path, bytes] = {}
    with ThreadPoolExecutor(_CHECKERS) as pool, progress_bar(len(files), "checking input", "file") as bar:
        try:
            for (path, _, _), (digest, found) in zip(files, pool.map(check, files), strict=True):
                faults += found
                if digest is not None:
                    digests[path] = digest
                bar.update()
        except BaseException:  # interrupted: leaving the pool would read all that is left
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return Checked(tuple(faults), digests)


def _find_masks(input_path: Path) -> tuple[Path | None, list[Fault]]:
    for name in _MASK_FOLDERS:
        if (input_path / name).is_dir():
            return input_path / name, []
    if _has_masks(input_path):
        return input_path, []
    candidates = sorted(path for path in input_path.iterdir() if path.is_dir() and _has_masks(path))
    if len(candidates) == 1:
        return candidates[0], []
    if candidates:
        names = ", ".join(path.name for path in candidates)
        return None, [Fault(None, f"{input_path}: several folders hold PNG files ({names}); name the masks' own")]
    return None, [Fault(None, f"{input_path}: no masks: neither {_MASK_FOLDERS[0]}/ nor any folder with PNG files")]


def _is_usable(name: str) -> bool:
    """Whether a file of that name can exist, and be noted in a text file."""
    try:
        return len(name.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False


def _is_file(folder: Path, name: str) -> bool:
    return all(_is_usable(part) for part in Path(name).parts) and (folder / name).is_file()


def _has_masks(folder: Path) -> bool:
    return any(path.suffix.lower() == _MASK_SUFFIX for path in folder.iterdir())


def _find_references(input_path: Path) -> Path:
    beside = input_path / REFERENCES
    above = input_path.absolute().parent / REFERENCES
    return above if above.is_file() and not beside.is_file() else beside


def _read_references(path: Path) -> tuple[dict[str, str] | None, list[Fault]]:
    """Mask file name -> photo file name; None if the file can't be used at all."""
    faults: list[Fault] = []

    def collect(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        counts = Counter(key for key, _ in pairs)
        faults.extend(Fault(None, f"{path}: {key} is named {n} times") for key, n in counts.items() if n > 1)
        return dict(pairs)

    try:
        references = json.loads(path.read_text(encoding="utf-8"), object_pairs_hook=collect)
    except OSError as error:
        return None, [Fault(None, f"{path}: {error.strerror}; it says which photo each mask takes its style from")]
    except ValueError as error:
        return None, [Fault(None, f"{path}: not valid JSON ({error})")]
    if not isinstance(references, dict) or not all(isinstance(name, str) and name for name in references.values()):
        return None, [Fault(None, f'{path}: must be of the form {{"MASK.png": "PHOTO.jpg", …}}')]
    return references, faults
