"""Proposes the best pictures of a results folder, unlike each other: by score, with variety.

A picture's score is the contest's formula for it alone (`ecgan.scoring.total`), with a perfect FID, which no
single picture has; without an aesthetic that term is 0, without mask accuracy it is 1. Scores are spread over
0..1. Then one after another the picture is taken whose (1 - variety) * score - variety * likeness is largest,
likeness being that to the most similar one taken before: the mean of how far the masks' shares of classes
overlap and of how far the pictures' colour histograms do, each 0..1 (maximal marginal relevance,
Carbonell and Goldstein 1998).
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ecgan.config import ModelConfig
from ecgan.contact_sheet import contact_sheet
from ecgan.data.folders import find_pictures
from ecgan.data.images import BadImage, read_mask, read_photo, resize_photo
from ecgan.data.testset import Item
from ecgan.errors import UserError
from ecgan.files import clear_leftovers, write_atomically
from ecgan.palette import colourise
from ecgan.progress import progress_bar
from ecgan.scoring import terms, total
from ecgan.threads import in_threads
from jobs.bounds import CLASSES, SHARE, at_least, insist_on_bounds
from jobs.commands import named
from jobs.generate.manifest import read_manifest
from jobs.options import option, resolved
from jobs.results.best import Best, keep_best
from jobs.results.folders import find_items, output_file, results_folder
from jobs.results.numbers import Numbers, changed_since, read_numbers, score_folder

#: Size at which colours are counted, levels of each channel, and size and quality of the sheet's pictures.
_SMALL, _LEVELS, _TILE, _QUALITY = (64, 48), 4, (384, 288), 90


@dataclass(frozen=True)
class PickSettings:
    results: str = option("results", f"folder of pictures, which {named('score')} has scored", path=True)
    input_path: str = option("data/test", "test set: folder with label_to_img.json and the masks' folder", path=True)
    img_path: str = option("data/train/imgs", "folder of the reference photos", path=True)
    score: str | None = option(None, f"folder with images.csv of {named('score')}; by default RESULTS.score", path=True)
    per_mask: str | None = option(
        None, "of results with several pictures for each mask: folder that gets the best of each", path=True
    )
    count: int = option(3, "how many pictures", at_least(1))
    variety: float = option(0.5, "0: the best scores alone; towards 1: the less alike the better", SHARE)
    label_nc: int = option(29, "classes of the masks", CLASSES)
    contain_dontcare_label: bool = option(False, "mask value 255 is a class of its own")
    output: str = option("picks.jpg", "contact sheet to write", path=True)

    def __post_init__(self) -> None:
        insist_on_bounds(self)
        for name in ("count", "variety", "output"):
            if self.per_mask is not None and getattr(self, name) != getattr(PickSettings, name):
                raise UserError(f"--{name} is about a sheet of the best of all masks, and --per_mask makes none")


@dataclass(frozen=True)
class Candidate:
    """`score` in the formula's own units; `look`: shares of classes and of colours, each of which adds up to 1."""

    item: Item
    picture: Path
    score: float
    look: tuple[np.ndarray, np.ndarray]


def pick(settings: PickSettings) -> list[Candidate]:
    """The proposed pictures, best first, of which the contact sheet is written. Raises UserError."""
    results = results_folder("--results", settings.results)
    output = output_file(settings.output, [results])
    if output.suffix.lower() not in (".jpg", ".jpeg"):
        raise UserError(f"--output {settings.output}: the sheet is a JPEG file: name it so, as picks.jpg")
    folder = _scored(settings, results)
    numbers = read_numbers(folder)
    items, _ = find_items(settings.input_path, settings.img_path, read_manifest(results))
    scored = [item for item in items if item.name in numbers]
    if len(scored) < settings.count:
        raise UserError(f"--count {settings.count}: only {len(scored)} pictures of {results} have been scored")
    pictures = find_pictures(results)
    if missing := [item.name for item in scored if item.name not in pictures]:
        raise UserError(f"{results} holds no picture {missing[0]}: generate and score again")
    if changed := changed_since(folder, [pictures[item.name] for item in scored]):
        raise UserError(f"{changed[0]} changed after it was scored: run {named('score')} again")
    model = ModelConfig(label_nc=settings.label_nc, contain_dontcare_label=settings.contain_dontcare_label)
    candidates = _candidates(scored, pictures, numbers, model)
    chosen = choose(candidates, settings.count, settings.variety)
    _write_sheet(output, chosen, model)
    return chosen


def pick_per_mask(settings: PickSettings) -> Best:
    """The best picture of each mask in the folder `per_mask`. Raises UserError."""
    results = results_folder("--results", settings.results)
    assert settings.per_mask is not None
    output = resolved(settings.per_mask)
    if output.is_relative_to(results):
        raise UserError(f"--per_mask {output} lies in the results folder: choose another place")
    folder = _scored(settings, results)
    if changed := changed_since(folder, find_pictures(results).values()):
        raise UserError(f"{changed[0]} changed after it was scored: run {named('score')} again")
    return keep_best(results, output, read_numbers(folder), score_of)


def _scored(settings: PickSettings, results: Path) -> Path:
    """Where the numbers of the pictures are."""
    folder = score_folder(results, settings.score)
    if folder is None:
        raise UserError(f"{results} has not been scored: run {named('score')} --results {settings.results} first")
    return folder


def choose(candidates: Sequence[Candidate], count: int, variety: float) -> list[Candidate]:
    """`count` of them, which must be there; of equals the first."""
    scores = np.array([candidate.score for candidate in candidates])
    spread = (scores - scores.min()) / (np.ptp(scores) or 1.0)
    alike = np.zeros(len(candidates))
    left, chosen = list(range(len(candidates))), []
    for _ in range(count):
        best = max(left, key=lambda i: (1 - variety) * spread[i] - variety * alike[i])
        left.remove(best)
        chosen.append(candidates[best])
        for i in left:
            alike[i] = max(alike[i], likeness(candidates[best], candidates[i]))
    return chosen


def likeness(one: Candidate, other: Candidate) -> float:
    """0..1: 1 of the same classes in the same shares and the same colours."""
    return float(np.mean([np.minimum(a, b).sum() for a, b in zip(one.look, other.look, strict=True)]))


def score_of(numbers: Numbers) -> float:
    """What is undefined counts as 0, what was not measured as the module says."""
    counted = {term.name: term.first.column for term in terms.TERMS if term.counts}
    return total.of_known({name: numbers[column] or 0.0 for name, column in counted.items() if column in numbers})


def _candidates(
    items: Sequence[Item],
    pictures: dict[str, Path],
    numbers: dict[str, Numbers],
    model: ModelConfig,
) -> list[Candidate]:
    def candidate(item: Item) -> Candidate:
        path = pictures[item.name]
        return Candidate(item, path, score_of(numbers[item.name]), _look(path, item.mask, model))

    try:
        with progress_bar(len(items), "comparing", "picture") as bar:
            return in_threads(candidate, items, tick=bar.update)
    except BadImage as error:
        raise UserError(str(error)) from None


def _look(picture: Path, mask: Path, model: ModelConfig) -> tuple[np.ndarray, np.ndarray]:
    labels = np.bincount(read_mask(mask, model).ravel(), minlength=model.semantic_nc)
    small = resize_photo(read_photo(picture), _SMALL).astype(np.int64) * _LEVELS // 256
    colours = np.bincount((small @ [_LEVELS * _LEVELS, _LEVELS, 1]).ravel(), minlength=_LEVELS**3)
    return labels / labels.sum(), colours / colours.sum()


def _write_sheet(path: Path, chosen: Sequence[Candidate], model: ModelConfig) -> None:
    try:
        rows = [
            [colourise(read_mask(each.item.mask, model)), read_photo(each.item.reference), read_photo(each.picture)]
            for each in chosen
        ]
    except BadImage as error:
        raise UserError(str(error)) from None
    buffer = io.BytesIO()
    contact_sheet(rows, _TILE).save(buffer, "JPEG", quality=_QUALITY)
    clear_leftovers(path.parent)
    write_atomically(path, buffer.getvalue())
