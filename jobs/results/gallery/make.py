"""From folders to the gallery's page: which pictures, with which numbers, where it goes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ecgan.config import ModelConfig
from ecgan.data.folders import find_pictures
from ecgan.files import clear_leftovers, write_atomically
from ecgan.progress import progress_bar
from jobs.bounds import CLASSES, insist_on_bounds
from jobs.commands import named
from jobs.generate.manifest import read_manifest
from jobs.options import option
from jobs.results.folders import find_items, output_file, results_folder
from jobs.results.gallery.page import Entry, gallery
from jobs.results.numbers import Numbers, changed_since, read_numbers, score_folder


@dataclass(frozen=True)
class GallerySettings:
    results: str = option("results", "folder of pictures to look at", path=True)
    against: str | None = option(
        None, "another folder of pictures of the same masks, to be shown beside them", path=True
    )
    input_path: str = option("data/test", "test set: folder with label_to_img.json and the masks' folder", path=True)
    img_path: str = option("data/train/imgs", "folder of the reference photos", path=True)
    score: str | None = option(
        None, f"folder with {named('score')}'s images.csv; by default RESULTS.score, if it is there", path=True
    )
    label_nc: int = option(29, "classes of the masks", CLASSES)
    contain_dontcare_label: bool = option(False, "mask value 255 is a class of its own")
    output: str | None = option(None, "page to write; by default RESULTS.html", path=True)

    def __post_init__(self) -> None:
        insist_on_bounds(self)


@dataclass(frozen=True)
class Made:
    """`missing`: pictures that could not be shown, masks and references included."""

    path: Path
    rows: int
    size: int
    missing: tuple[str, ...]


def make(settings: GallerySettings) -> Made:
    """Writes the page. Raises UserError if there is nothing to show."""
    results = results_folder("--results", settings.results)
    folders = [results, *([results_folder("--against", settings.against)] if settings.against else [])]
    output = output_file(settings.output or f"{results}.html", folders)
    items, faults = find_items(settings.input_path, settings.img_path, read_manifest(results))
    pictures = [find_pictures(folder) for folder in folders]
    files = [
        {item.name: found.get(item.name, folder / item.name) for item in items}
        for folder, found in zip(folders, pictures, strict=True)
    ]
    named = [settings.score, *[None] * len(folders[1:])]
    numbers, changed = zip(*map(_numbers, folders, named, files), strict=True)
    names = _distinct(folders)
    entries = [
        Entry(
            item.name,
            item.mask,
            item.reference,
            [of_folder[item.name] for of_folder in files],
            _labelled([each.get(item.name, {}) for each in numbers], names),
        )
        for item in items
    ]
    columns = list(dict.fromkeys(column for entry in entries for column in entry.numbers))
    entries = [_with_all(entry, columns) for entry in entries]
    model = ModelConfig(label_nc=settings.label_nc, contain_dontcare_label=settings.contain_dontcare_label)
    with progress_bar(len(entries), "gallery", "picture") as bar:
        page, missing = gallery(" and ".join(names), names, entries, model, output.parent, bar.update)
    clear_leftovers(output.parent)
    write_atomically(output, page)
    reasons = (*faults, *(reason for each in changed for reason in each), *missing)
    return Made(output, len(entries), output.stat().st_size, reasons)


def _numbers(results: Path, named: str | None, files: dict[str, Path]) -> tuple[dict[str, Numbers], list[str]]:
    """By picture, without those that are no longer true, and which these are."""
    folder = score_folder(results, named)
    if folder is None:
        return {}, []
    changed = set(changed_since(folder, files.values()))
    numbers = {name: each for name, each in read_numbers(folder).items() if files.get(name) not in changed}
    return numbers, [f"numbers of {path}: it changed after it was scored; score again" for path in sorted(changed)]


def _distinct(folders: list[Path]) -> list[str]:
    """Names of the folders, as much of their paths as tells them apart."""
    for parts in range(1, max(len(folder.parts) for folder in folders)):
        names = ["/".join(folder.parts[-parts:]) for folder in folders]
        if len(set(names)) == len(names):
            return names
    return [str(folder) for folder in folders]


def _labelled(numbers: list[Numbers], names: list[str]) -> Numbers:
    """With the folder's name wherever there are two."""
    if len(numbers) == 1:
        return {_plain(column): value for column, value in numbers[0].items()}
    return {
        f"{_plain(column)} ({name})": value
        for each, name in zip(numbers, names, strict=True)
        for column, value in each.items()
    }


def _plain(column: str) -> str:
    return column.replace("_", " ")


def _with_all(entry: Entry, columns: list[str]) -> Entry:
    """What was not scored has every number undefined."""
    return Entry(
        entry.name, entry.mask, entry.reference, entry.results, {name: entry.numbers.get(name) for name in columns}
    )
