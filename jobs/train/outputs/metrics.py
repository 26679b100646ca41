"""Losses over the steps of a training: metrics.jsonl, one JSON line for each, and what a chart of them needs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ecgan.files import read_bytes, write_atomically
from ecgan.lines import read_lines
from jobs.run import values

#: Keys of a line that are no losses.
_OTHERS = ("step", "epoch", "time", "lr", "images_per_second")
#: Points of a history: from this many to twice as many.
_POINTS = 250


@dataclass(frozen=True)
class Line:
    """Losses by name, as they were at `step`."""

    step: int
    epoch: int
    losses: dict[str, float]


def read(path: Path, until: int) -> Iterator[Line]:
    """The lines up to step `until`; what a kill cut short is passed over."""
    if path.is_file():
        for _, entry in read_lines(path):
            line = _line(entry)
            if line and line.step <= until:
                yield line


def cut(path: Path, until: int) -> None:
    """Rewrites the file without the lines of steps later than `until` and those that are broken. Raises OSError."""
    if not path.is_file():
        return
    lines = ((text, _line(entry)) for text, entry in read_lines(path))
    after = "".join(f"{text}\n" for text, line in lines if line and line.step <= until).encode()
    if after != read_bytes(path):
        write_atomically(path, after)


def _line(entry: dict[str, Any] | None) -> Line | None:
    if entry is None:
        return None
    try:
        losses = {name: float(value) for name, value in entry.items() if name not in _OTHERS}
        return Line(**values.fitting(Line, entry) | {"losses": losses})
    except (ValueError, TypeError, OverflowError):
        return None


@dataclass
class Point:
    """Means of a few lines that follow each other, of which `step` is the last."""

    step: int = 0
    lines: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)

    def add(self, step: int, lines: int, sums: dict[str, float], counts: dict[str, int]) -> None:
        self.step = step
        self.lines += lines
        for name, value in sums.items():
            self.sums[name] = self.sums.get(name, 0.0) + value
            self.counts[name] = self.counts.get(name, 0) + counts[name]

    def mean(self, name: str) -> float:
        """NaN if there is no such loss among the lines, or none that is finite."""
        return self.sums[name] / self.counts[name] if name in self.sums else math.nan


class History:
    """All lines of a training in a few hundred points, however many there are: a point stands for more of them."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self._lines_of_a_point = 1

    def add(self, line: Line) -> None:
        """Lines come in the order of their steps."""
        if not self.points or self.points[-1].lines == self._lines_of_a_point:
            if len(self.points) == 2 * _POINTS:
                self._halve()
            self.points.append(Point())
        finite = {name: value for name, value in line.losses.items() if math.isfinite(value)}
        self.points[-1].add(line.step, 1, finite, dict.fromkeys(finite, 1))

    @property
    def names(self) -> list[str]:
        """Of the losses, in the order in which they first came."""
        return list(dict.fromkeys(name for point in self.points for name in point.sums))

    def _halve(self) -> None:
        for first, second in zip(self.points[::2], self.points[1::2], strict=True):
            first.add(second.step, second.lines, second.sums, second.counts)
        del self.points[1::2]
        self._lines_of_a_point *= 2
