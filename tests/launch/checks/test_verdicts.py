"""What follows from the doctor's table."""

from __future__ import annotations

from launch.checks.rows import Row
from launch.checks.verdicts import verdicts


def test_what_stops_ranks_stops_nothing_else() -> None:
    row = Row("mpirun", "note", "none", stops_ranks=True)
    generating, training, ranks = verdicts([row], "on cpu")
    assert generating.can_run and training.can_run and not ranks.can_run and "mpirun" in ranks.reason
