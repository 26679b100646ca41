"""A row of the doctor's table, and collecting the checks that come to one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ecgan.runtime.requirements import Finding

Mark = Literal["ok", "missing", "note"]


@dataclass(frozen=True)
class Row:
    """What a check found. "missing": nothing runs without it; "note": optional, or worth knowing.

    `how` says how to get what is not there. `stops_ranks`: without it training can't run on several ranks.
    """

    name: str
    state: Mark
    found: str
    how: str = ""
    stops_ranks: bool = False


Look = Callable[[], Finding]


class Checks:
    """The checks of one subject, in the order in which they are written; as a decorator, with the name of its row, it
    adds one.

    What they find lacking is worth a note. `stops_ranks`: without it training can't run on several ranks.
    """

    def __init__(self, stops_ranks: bool = False) -> None:
        self._stops_ranks = stops_ranks
        self._checks: list[tuple[str, Look]] = []

    def __call__(self, name: str) -> Callable[[Look], Look]:
        def add(look: Look) -> Look:
            self._checks.append((name, look))
            return look

        return add

    def rows(self) -> list[Row]:
        return [noted(check, self._stops_ranks) for check in self._checks]


def noted(check: tuple[str, Look], stops_ranks: bool = False) -> Row:
    """The row of a check by name that may be lacking something, which is worth a note."""
    name, look = check

    def row() -> Row:
        finding = look()
        return Row(name, "note" if finding.how else "ok", finding.found, finding.how, stops_ranks and bool(finding.how))

    return guarded(name, "note", row, stops_ranks)


def guarded(name: str, failing: Mark, check: Callable[[], Row], stops_ranks: bool = False) -> Row:
    """The check's row, or a `failing` one if the check itself fails: one oddity must not hide all other rows."""
    try:
        return check()
    except Exception as error:
        return Row(name, failing, f"can't tell: {type(error).__name__}: {error}", stops_ranks=stops_ranks)
