"""The terms of the score, in one table: what each is called, what it is measured by, and what it is a mean of.

A term that is measured picture by picture is a function beside this module and a row here. Measuring, the mean, the
columns of images.csv, the table for a person and what pictures are picked by go by the rows.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from ecgan.scoring import style, total
from ecgan.scoring.aesthetic import Scorer
from ecgan.scoring.agreement import Agreement
from ecgan.scoring.reading import Reading

#: Networks that a term may need.
Judge = Literal["inception", "segmenter", "aesthetic"]
#: What a term sums up: the readings of all pictures, of which an undefined one counts as 0; how far all pixels of all
#: pictures agree with the masks; how far the pictures' features are from the photos'.
Over = Literal["pictures", "pixels", "features"]


class Seen(NamedTuple):
    """One picture and what can be said of it. `picture`, `reference`: (H, W, 3) uint8 RGB; `labels`: the mask that was
    asked for, at the picture's size; `agreement`, `aesthetic`: None without their networks."""

    picture: np.ndarray
    labels: np.ndarray
    reference: np.ndarray
    agreement: Agreement | None = None
    aesthetic: Scorer | None = None


class Number(NamedTuple):
    """A number that a term has. `key`: in the term's entry in score.json; `column`: in images.csv."""

    key: str
    column: str
    title: str


@dataclass(frozen=True)
class Term:
    """`name`: in score.json and in the total; `title`, `digits` behind the point, `remark`: for a person, who sees the
    `leading` ones first, those that compare with photos.

    `judge`: the network without which it is not known. `read`: its readings of one picture, one for each of its
    numbers; None of a term that is only known of all pictures together. `variants`: where it has several numbers, of
    which the first counts in the total.
    """

    name: str
    title: str
    over: Over = "pictures"
    judge: Judge | None = None
    read: Callable[[Seen], Sequence[Reading]] | None = None
    variants: tuple[str, ...] = ()
    digits: int = 4
    remark: str = ""
    leading: bool = False

    @property
    def numbers(self) -> tuple[Number, ...]:
        if not self.variants:
            return (Number("value", self.name, self.title),)
        return tuple(Number(each, f"{self.name}_{each}", f"{self.title} ({each})") for each in self.variants)

    @property
    def first(self) -> Number:
        """The one that counts, if the term does."""
        return self.numbers[0]

    @property
    def counts(self) -> bool:
        """Whether the total has it."""
        return self.name in total.TERMS


def _style(seen: Seen) -> list[Reading]:
    return list(style.compare(seen.picture, seen.reference).values())


def _mask_accuracy(seen: Seen) -> list[Reading]:
    assert seen.agreement is not None
    return [Reading(seen.agreement.accuracy)]


def _aesthetic(seen: Seen) -> list[Reading]:
    assert seen.aesthetic is not None
    return [Reading(seen.aesthetic(seen.picture))]


#: In the order in which score.json and images.csv have them.
TERMS = (
    Term("style", "style", read=_style, variants=style.VARIANTS, leading=True),
    Term("mask_accuracy", "mask accuracy", "pixels", "segmenter", _mask_accuracy),
    Term("fid", "FID", "features", "inception", digits=2, leading=True),
    Term(
        "fsd",
        "FSD",
        "features",
        "segmenter",
        remark="(segmentation features; not FID, not in the total)",
        leading=True,
    ),
    Term("aesthetic", "aesthetic", judge="aesthetic", read=_aesthetic),
)
