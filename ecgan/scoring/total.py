"""The contest's score of its four terms, or what it would be if the missing one were known.

docs/specification.md, section 1.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import NamedTuple


class Line(NamedTuple):
    """The total as a straight line of the missing term: `at_zero` + `slope` * term."""

    term: str
    at_zero: float
    slope: float


def total(mask_accuracy: float, aesthetic: float, style: float, fid: float) -> float:
    """Mask accuracy and aesthetic in 0..1, style in -1..1, FID from 0 on, of which more than 100 counts as 100."""
    quality = 0.20 * aesthetic + 0.30 * (0.5 * style + 0.5) + 0.50 * (100 - min(fid, 100.0)) / 100
    return mask_accuracy * quality


TERMS = tuple(inspect.signature(total).parameters)


def of_known(terms: Mapping[str, float]) -> float:
    """What the total makes of those of its terms that are known, which style must be: higher is better. A term that is
    not known counts as perfect, but the aesthetic as nothing, so only values with the same terms can be compared."""
    return total(**{"mask_accuracy": 1.0, "aesthetic": 0.0, "fid": 0.0, **terms})


def without(terms: Mapping[str, float]) -> Line | None:
    """The total as a function of the one term that `terms` lacks; None unless it is exactly one.

    In FID it is a line up to 100.
    """
    missing = [term for term in TERMS if term not in terms]
    if len(missing) != 1:
        return None
    at_zero, at_one = (total(**{**terms, missing[0]: value}) for value in (0.0, 1.0))
    return Line(missing[0], at_zero, at_one - at_zero)
