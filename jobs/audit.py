"""The audit of a training set: settings, the whole of it, and its report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

import numpy as np

from ecgan.config import ModelConfig
from ecgan.data.audit import AuditFinding, AuditKind, Limits, examine_all, find_duplicates
from ecgan.data.exclusion import list_of, no_effect, read_exclude_list
from ecgan.data.trainset import find_training_set
from ecgan.errors import UserError, reason
from ecgan.files import clear_leftovers, write_atomically, write_json
from ecgan.palette import NAMES
from ecgan.progress import progress_bar
from ecgan.threads import readers
from jobs.bounds import CLASSES, at_least, between, insist_on_bounds
from jobs.options import option, parse_size

#: What can't be trained on is always left out, and what is no pair can't be; of the rest the user chooses.
_ALWAYS: tuple[AuditKind, ...] = ("unreadable", "classes")
_NEVER: tuple[AuditKind, ...] = ("unpaired",)
_CHOICE = tuple(kind for kind in get_args(AuditKind) if kind not in (*_ALWAYS, *_NEVER))
REPORT, SUMMARY, EXCLUDE = "report.json", "report.txt", "exclude.txt"


@dataclass(frozen=True)
class AuditSettings:
    input_path: str = option("data/train", "training set: folder with imgs/ and labels/", path=True)
    output_path: str = option("audit", "folder that gets the report and the exclusion list", path=True)
    exclude_list: str | None = option(None, "text file with the names of photos that are left out already", path=True)
    exclude: str = option(",".join(_CHOICE), f"faults to list: any of {', '.join(_CHOICE)}; or none")
    size: str = option("512x384", "WIDTHxHEIGHT that photos and masks should have the aspect of")
    chroma: float = option(Limits.chroma, "a photo is grey if its channels differ by less, of 255", between(0, 256))
    border: float = option(Limits.border, "share of a side from which on a border of one colour counts", between(0, 1))
    distance: int = option(
        Limits.distance, "bits of 64 in which the hashes of near duplicates differ at most", between(0, 64)
    )
    label_nc: int = option(29, "classes of the masks", CLASSES)
    contain_dontcare_label: bool = option(False, "mask value 255 is one class more")
    workers: int | None = option(None, "threads; by default two for each core", at_least(1))

    def __post_init__(self) -> None:
        unknown = self.excluded - set(_CHOICE)
        if unknown:
            raise UserError(f"--exclude: {min(unknown)!r} is none of {', '.join(_CHOICE)}")
        insist_on_bounds(self)
        self.model, self.limits  # noqa: B018  # raise now if they are malformed

    @property
    def excluded(self) -> set[str]:
        return {kind.strip() for kind in self.exclude.split(",") if kind.strip()} if self.exclude != "none" else set()

    @property
    def model(self) -> ModelConfig:
        return ModelConfig(label_nc=self.label_nc, contain_dontcare_label=self.contain_dontcare_label)

    @property
    def limits(self) -> Limits:
        size = parse_size("--size", self.size)
        assert size is not None
        return Limits(size, self.chroma, self.border, distance=self.distance)


@dataclass(frozen=True)
class Audit:
    """`excluded`: pairs for the list, each with its reasons; `photos`: their files' names. `known`, `unknown`: lines of
    the list that was given which fit a pair, and which do not. `pixels`, `pictures`: of each class, over all masks."""

    pairs: int
    findings: tuple[AuditFinding, ...]
    excluded: dict[str, list[str]]
    photos: dict[str, str]
    known: tuple[str, ...]
    unknown: tuple[str, ...]
    pixels: list[int]
    pictures: list[int]

    @property
    def has_strays(self) -> bool:
        """Whether there is what no list can leave out, since it is no pair."""
        return any(finding.kind == "unpaired" for finding in self.findings)


def audit(settings: AuditSettings) -> Audit:
    """Opens every pair. Raises UserError if there is none."""
    path = Path(settings.input_path).expanduser().absolute()
    given = read_exclude_list(Path(settings.exclude_list).expanduser()) if settings.exclude_list else ()
    found = find_training_set(path, given)
    findings = [AuditFinding(fault.name or "", "unpaired", fault.reason) for fault in found.faults]
    if not found.pairs:
        reasons = "; ".join(finding.detail for finding in findings[:5]) or "there are no pairs of photo and mask"
        raise UserError(f"--input_path {path}: {reasons}")
    workers = settings.workers or readers()
    with progress_bar(len(found.pairs), "examining", "pair") as bar:
        examined = examine_all(found.pairs, settings.model, settings.limits, workers, bar.update)
    findings += [finding for one in examined for finding in one.findings]
    findings += find_duplicates(examined, settings.limits)
    excluded: dict[str, list[str]] = {}
    for finding in findings:
        if finding.kind in _ALWAYS or finding.kind in settings.excluded:
            excluded.setdefault(finding.name, []).append(f"{finding.kind}: {finding.detail}")
    counts = np.stack([one.pixels for one in examined])
    return Audit(
        pairs=len(found.pairs),
        findings=tuple(findings),
        excluded=dict(sorted(excluded.items())),
        photos={pair.name: pair.photo.name for pair in found.pairs if pair.name in excluded},
        known=tuple(entry.text for entry in given if entry.text not in found.excluded.unknown),
        unknown=found.excluded.unknown,
        pixels=counts.sum(axis=0).tolist(),
        pictures=(counts > 0).sum(axis=0).tolist(),
    )


def write(result: Audit, settings: AuditSettings) -> Path:
    """Writes the report, in full and in short, and the list; returns their folder. Raises UserError if it can't."""
    folder = Path(settings.output_path).expanduser()
    listed = list_of(result.known, {result.photos[name]: reasons for name, reasons in result.excluded.items()})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        clear_leftovers(folder)
        write_json(folder / REPORT, {"settings": asdict(settings)} | asdict(result))
        write_atomically(folder / SUMMARY, "\n".join(summary(result)) + "\n")
        write_atomically(folder / EXCLUDE, listed)
    except OSError as error:
        raise UserError(f"--output_path {folder}: can't be written ({reason(error)})") from None
    return folder


def summary(result: Audit) -> list[str]:
    """For a person: how many of each fault, and how much of each class."""
    found = Counter(finding.kind for finding in result.findings)
    lines = [f"{result.pairs} pairs examined, {len(result.excluded)} on the exclusion list"]
    if result.known or result.unknown:
        lines[0] += f", and {len(result.known)} line(s) of the one that was given"
    if result.unknown:
        lines.append(no_effect(result.unknown))
    lines += ["", *(f"{kind.replace('_', ' '):<16}{found[kind]:>7}" for kind in get_args(AuditKind))]
    return [*lines, "", f"{'class':<24}{'pixels':>8}{'pictures':>10}", *_histogram(result)]


def _histogram(result: Audit) -> Sequence[str]:
    total = max(1, sum(result.pixels))
    rows = []
    for number, (pixels, pictures) in enumerate(zip(result.pixels, result.pictures, strict=True)):
        name = NAMES[number] if number < len(NAMES) else ""
        rows.append(f"{number:>3} {name:<20}{pixels / total:>8.2%}{pictures:>10}")
    return rows
