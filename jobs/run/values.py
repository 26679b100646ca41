"""Reading JSON files that others wrote into dataclasses: what has not the field's type is left out."""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

from jobs.run.state import State


def read_object(path: Path) -> dict[str, Any]:
    """The object in a JSON file. Raises OSError, and ValueError if there is none in it."""
    values = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict):
        raise ValueError("no JSON object")
    return values


def fitting(cls: type, values: dict[str, Any]) -> dict[str, Any]:
    """Those of `values` that the dataclass `cls` has a field for, of its type."""
    hints = _hints(cls)
    found = {
        field.name: _READERS[hints[field.name]](values[field.name])
        for field in dataclasses.fields(cls)
        if field.name in values
    }
    return {name: value for name, value in found.items() if value is not None}


@lru_cache
def _hints(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


def _state(value: Any) -> State | None:
    return next((state for state in State if state.value == value), None)


def _truth(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) and math.isfinite(value) else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _texts(value: Any) -> tuple[str, ...] | None:
    return tuple(map(str, value)) if isinstance(value, list) else None


def _numbers(value: Any) -> dict[str, float] | None:
    """By name; those that are not finite, too."""
    if not isinstance(value, dict):
        return None
    return {name: float(number) for name, number in value.items() if isinstance(number, (int, float))}


_READERS: dict[Any, Callable[[Any], Any]] = {
    State: _state,
    State | None: _state,
    bool | None: _truth,
    int: _integer,
    int | None: _integer,
    float | None: _number,
    str: _text,
    str | None: _text,
    tuple[str, ...]: _texts,
    dict[str, float] | None: _numbers,
}


def to_json(value: float) -> float | str:
    """JSON has no words for what is not finite: then "NaN", "Infinity" or "-Infinity", which float() reads."""
    if math.isfinite(value):
        return float(value)
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
