"""Values in JSON files: read into dataclasses, whatever others wrote, and written as JSON has words for them."""

from __future__ import annotations

import contextlib
import math
import typing
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec

from ecgan.files import read_any_json


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises OSError, and ValueError if there is none in it."""
    values = read_any_json(path)
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


def fitting(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that the dataclass `cls` has a field for, of its type and finite."""
    found = {}
    for name, hint in _hints(cls).items():
        value = values.get(name)
        if name in values and not (isinstance(value, float) and not math.isfinite(value)):
            with contextlib.suppress(msgspec.ValidationError):
                found[name] = msgspec.convert(value, hint)
    return found


def to_json(value: float) -> float | str:
    """JSON has no words for what is not finite: then "NaN", "Infinity" or "-Infinity", which float() reads."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)
