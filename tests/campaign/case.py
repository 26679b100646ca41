"""A case: one run that is disturbed in a way that the campaign's seed and the case's number decide, and its outcome."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from tests.campaign.world import World

Where = Literal["here", "slurm"]
Verdict = Literal["held", "fault", "not possible"]


class Fault(Exception):
    """Something that was promised did not hold."""


class NotPossible(Exception):
    """This machine lacks what the case needs."""


def insist(condition: object, words: str) -> None:
    """Raises Fault with `words` unless `condition`."""
    if not condition:
        raise Fault(words)


@dataclass
class Case:
    """`folder` is its own. `kills` and `notes` tell what was done, in order; `inputs`: how many bad ones were given."""

    seed: int
    number: int
    kind: str
    folder: Path
    kills: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inputs: int = 0

    def __post_init__(self) -> None:
        self.chance = random.Random(f"{self.seed}:{self.number}")

    def note(self, words: str) -> None:
        self.notes.append(words)


Act = Callable[[Case, "World"], None]


@dataclass(frozen=True)
class Kind:
    """`share`: how many of the cases of a round are of this kind."""

    name: str
    where: Where
    share: int
    act: Act


_KINDS: list[Kind] = []


def kind(name: str, where: Where, share: int = 1) -> Callable[[Act], Act]:
    """Makes a function that plays a case of this kind; it raises Fault, or NotPossible."""

    def register(act: Act) -> Act:
        _KINDS.append(Kind(name, where, share, act))
        return act

    return register


def kind_of(number: int, where: Where) -> Kind:
    """Of the case with this number: kinds take turns, each as often in a round as its share says."""
    ours = [each for each in _KINDS if each.where == where]
    turns = [(turn / each.share, each.name, each) for each in ours for turn in range(each.share)]
    ordered = [each for _, _, each in sorted(turns, key=lambda entry: entry[:2])]
    return ordered[number % len(ordered)]
