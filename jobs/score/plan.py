"""The plan of a scoring: what is measured, by which networks, in which parts and shards.

Saved as plan.json and items.jsonl.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ecgan.runtime.devices import Device
from ecgan.scoring import terms
from ecgan.scoring.terms import Judge, Term
from jobs.sharded import items, libraries, numbering

#: Grows when the same files give other measurements than before.
MEASUREMENTS_VERSION = 1
#: How many subjects are measured together: what a kill costs at most.
_SUBJECTS_OF_A_PART = 16


@dataclass(frozen=True)
class Judges:
    """Paths of the networks and the SHA-256 of what is in them; None where there is none. `segmenter_size`: (width,
    height) at which the segmentation network sees every photo."""

    inception: str | None
    segmenter: str | None
    aesthetic: str | None
    aesthetic_weights: str | None
    hashes: tuple[tuple[str, str], ...]
    label_nc: int
    contain_dontcare_label: bool
    device: Device
    segmenter_size: tuple[int, int] | None

    def allow(self, term: Term) -> bool:
        """Whether the network that the term needs is there."""
        return term.judge is None or getattr(self, term.judge) is not None

    @property
    def columns(self) -> list[str]:
        """Numbers that every picture has, as images.csv calls them."""
        return [number.column for term in terms.TERMS if term.read and self.allow(term) for number in term.numbers]

    @property
    def of_features(self) -> Judge | None:
        """The network whose features pictures and photos are compared by; None if there is none that has any."""
        return "inception" if self.inception else "segmenter" if self.segmenter else None

    def features_decided_by(self) -> dict[str, Any]:
        """What decides a photo's features: one network, and where it runs."""
        network = self.of_features
        assert network is not None, "no network has features"
        size = {"size": self.segmenter_size} if network == "segmenter" else {}
        return features_by(network, self.of(network), self.device) | size

    def of(self, network: Judge) -> str:
        """Its SHA-256."""
        return dict(self.hashes)[network]

    def fingerprint(self) -> dict[str, Any]:
        """What decides a measurement, beside the files that are measured."""
        values = {"hashes": dict(self.hashes), "label_nc": self.label_nc, "dontcare": self.contain_dontcare_label}
        return values | {"device": self.device, "segmenter_size": self.segmenter_size} | _versions()


@dataclass(frozen=True)
class Subject:
    """A picture to measure, or a training photo whose features are wanted, which has no mask.

    `identity`: size and time of its files, by which a change is noticed.
    """

    name: str
    path: str
    identity: str
    mask: str | None = None
    reference: str | None = None


@dataclass(frozen=True)
class ScorePart:
    """Subjects of one kind that are measured together. `key`: SHA-256 of everything that decides the outcome."""

    kind: Literal["pictures", "photos"]
    key: str
    subjects: tuple[Subject, ...]
    shard: int | None = None


@dataclass(frozen=True)
class ScorePlan:
    """`size`: (width, height) of the pictures. `statistics`: key of the photos' statistics, None if no network has
    features. `missing`: pictures that could not be scored, with reasons."""

    results: str
    judges: Judges
    parts: tuple[ScorePart, ...]
    size: tuple[int, int]
    statistics: str | None
    photos: int
    segmenter_measured: dict[str, Any]
    missing: tuple[tuple[str, str], ...]

    @property
    def shards(self) -> int:
        return numbering.count([part.shard for part in self.parts])

    @property
    def total(self) -> int:
        return sum(len(part.subjects) for part in self.parts)

    def in_shards(self, todo: Collection[str], shards: int) -> ScorePlan:
        """With the parts whose keys are in `todo` numbered in so many shards, or fewer."""
        numbers = numbering.numbered([part.key in todo for part in self.parts], shards)
        parts = (dataclasses.replace(part, shard=number) for part, number in zip(self.parts, numbers, strict=True))
        return dataclasses.replace(self, parts=tuple(parts))

    def of_kind(self, kind: str) -> list[ScorePart]:
        return [part for part in self.parts if part.kind == kind]

    def save(self, path: Path) -> None:
        """Its parts lie in a file of their own beside it."""
        items.save(path, self, "parts", {})

    @classmethod
    def load(cls, path: Path, shard: int | None = None) -> ScorePlan:
        """With the parts of one shard alone, if there is a number. Raises UserError if `path` is no plan of this
        version."""
        return items.load(path, cls, "parts", ScorePart, shard)


def features_by(network: Judge, sha256: str, device: Device) -> dict[str, Any]:
    """What decides the features of a photo."""
    return {network: sha256, "device": device} | _versions()


def in_parts(
    kind: Literal["pictures", "photos"], subjects: Sequence[Subject], decided_by: dict[str, Any]
) -> list[ScorePart]:
    """Of equally many subjects each, whatever the shards: what was measured serves again with another number of
    them."""
    size = _SUBJECTS_OF_A_PART
    groups = [tuple(subjects[i : i + size]) for i in range(0, len(subjects), size)]
    return [
        ScorePart(kind, key_of([kind, decided_by, [dataclasses.asdict(each) for each in group]]), group)
        for group in groups
    ]


def key_of(values: Any) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def _versions() -> dict[str, Any]:
    return {"version": MEASUREMENTS_VERSION} | libraries.versions()
