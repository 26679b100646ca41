"""What is told of data that can't be used, be it of a test set or of a training set."""

from __future__ import annotations

from dataclasses import dataclass

from ecgan.data.folders import printable


@dataclass(frozen=True)
class Fault:
    """Something wrong with the input. `name` is the picture or pair it concerns; None if it is not about one. `reason`
    is for a person: one line, whatever stands in the names of files."""

    name: str | None
    reason: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", printable(self.reason))
