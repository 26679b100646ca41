"""What the doctor says of MPI."""

from __future__ import annotations

import pytest

from ecgan.runtime import mpi as open_mpi
from launch.checks import mpi


def test_a_check_that_fails_keeps_the_name_of_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> int:
        raise RuntimeError("no /proc")

    monkeypatch.setattr(mpi, "ask", lambda command: (True, "made up"))  # starts nothing
    names = [row.name for row in mpi.check.rows()]
    for module, name in ((mpi, "cores"), (open_mpi, "find_program"), (mpi, "installed")):
        monkeypatch.setattr(module, name, fail)
    monkeypatch.delenv("mpicc_path", raising=False)
    failed = mpi.check.rows()
    assert [row.name for row in failed] == names
    assert all(row.state == "note" and row.stops_ranks and "no /proc" in row.found for row in failed)
