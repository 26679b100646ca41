"""A number that is read of one picture, and what many come to."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np


class Reading(NamedTuple):
    """A number of one picture; None where it is undefined, which `reason` explains."""

    value: float | None
    reason: str = ""


def mean(values: Iterable[float | None]) -> float:
    """Over all pictures, of which there must be one at least; an undefined value counts as 0."""
    return float(np.mean([value or 0.0 for value in values]))
