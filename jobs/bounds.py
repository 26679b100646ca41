"""The range of an option's numbers, which stands beside the option (`jobs.options`)."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any

from ecgan.errors import UserError


@dataclass(frozen=True)
class Bounds:
    """NaN and infinity are never within them. `words`: what follows on "it must be"."""

    words: str
    low: float
    high: float = math.inf
    low_counts: bool = True
    high_counts: bool = True

    def hold(self, value: float) -> bool:
        above = self.low <= value if self.low_counts else self.low < value
        below = value <= self.high if self.high_counts else value < self.high
        return math.isfinite(value) and above and below


def at_least(low: int) -> Bounds:
    return Bounds(f"at least {low}", low)


def above(low: int) -> Bounds:
    return Bounds(f"above {low}", low, low_counts=False)


def between(low: int, high: int) -> Bounds:
    """Both ends included."""
    return Bounds(f"{low} to {high}", low, high)


#: Of masks, which have a byte for each pixel.
CLASSES = between(1, 256)
#: 0 is a share, 1 is none.
SHARE = Bounds("0 or more, and below 1", 0, 1, high_counts=False)


def insist_on_bounds(settings: Any) -> None:
    """Raises UserError naming the first option of the dataclass `settings` that is out of its bounds; None never is."""
    for field in dataclasses.fields(settings):
        bounds, value = field.metadata.get("bounds"), getattr(settings, field.name)
        if bounds is None or value is None or bounds.hold(value):
            continue
        words = bounds.words if math.isfinite(value) else f"a number, {bounds.words}"
        raise UserError(f"--{field.name} is {value}; it must be {words}")
