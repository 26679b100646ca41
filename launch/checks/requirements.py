"""What Jittor needs wherever it runs: the list by which the start refuses."""

from __future__ import annotations

from ecgan.runtime.requirements import REQUIREMENTS, Requirement
from launch.checks.rows import Row, guarded


def rows() -> list[Row]:
    return [_row(each) for each in REQUIREMENTS]


def _row(requirement: Requirement) -> Row:
    def check() -> Row:
        finding = requirement.look(True)
        return Row(requirement.name, "missing" if finding.how else "ok", finding.found, finding.how)

    return guarded(requirement.name, "missing", check)
