"""Aesthetic score by a network of the user's own, behind a small interface.

The user's Python file has a function `load(weights)`, which gets the path of the weights (or None) and
returns a function that scores a picture, (H, W, 3) uint8 RGB, with a number in 0..1.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ecgan.errors import UserError

Scorer = Callable[[np.ndarray], float]


def load_scorer(path: Path, weights: str | None) -> Scorer:
    """Runs the user's file. Raises UserError if it can't be used; what it returns raises ValueError if the user's
    function fails, or its score is not in 0..1."""
    specification = importlib.util.spec_from_file_location("users_aesthetic", path)
    if specification is None or specification.loader is None or not path.is_file():
        raise UserError("not a Python file", field="aesthetic", value=path)
    module = importlib.util.module_from_spec(specification)
    try:
        specification.loader.exec_module(module)
        score = module.load(weights)
    except (Exception, SystemExit) as error:  # whatever the user's code does
        raise UserError(f"{type(error).__name__}: {error}", field="aesthetic", value=path) from None
    if not callable(score):
        raise UserError("load() returned no function", field="aesthetic", value=path)

    def checked(picture: np.ndarray) -> float:
        try:
            value = float(score(picture))
        except Exception as error:
            raise ValueError(f"the aesthetic's {type(error).__name__}: {error}") from error
        if not 0 <= value <= 1:
            raise ValueError(f"the aesthetic score is {value}; it must be in 0..1")
        return value

    return checked
