"""A row of the doctor's table, and collecting the checks that return one."""

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


Check = Callable[[], Row]


class Checks:
    """The checks of one subject, in the order in which they are written; as a decorator it adds one.

    `failing` and `stops_ranks` are the row's of a check that fails itself.
    """

    def __init__(self, failing: Mark, stops_ranks: bool = False) -> None:
        self._failing, self._stops_ranks = failing, stops_ranks
        self._checks: list[Check] = []

    def __call__(self, check: Check) -> Check:
        self._checks.append(check)
        return check

    def rows(self) -> list[Row]:
        return [
            guarded(check.__name__.replace("_", " "), self._failing, check, self._stops_ranks) for check in self._checks
        ]


def noted(check: tuple[str, Callable[[], Finding]], stops_ranks: bool = False) -> Row:
    """The row of a check by name that may be lacking something, which is worth a note."""
    name, look = check

    def row() -> Row:
        finding = look()
        return Row(name, "note" if finding.how else "ok", finding.found, finding.how, stops_ranks and bool(finding.how))

    return guarded(name, "note", row, stops_ranks)


def guarded(name: str, failing: Mark, check: Check, stops_ranks: bool = False) -> Row:
    """The check's row, or a `failing` one if the check itself fails: one oddity must not hide all other rows."""
    try:
        return check()
    except Exception as error:
        return Row(name, failing, f"can't tell: {type(error).__name__}: {error}", stops_ranks=stops_ranks)
