"""Outputs that end no work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from slurm.processes import streams


def test_what_ctrl_c_breaks_into_is_not_said_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def write_and_be_interrupted(descriptor: int, data: bytes) -> int:
        write(descriptor, data)
        raise KeyboardInterrupt

    with open(tmp_path / "log", "wb") as file:
        stream = streams._text(file.fileno(), None, insists_on_reader=False)
        monkeypatch.setattr(os, "write", write_and_be_interrupted)
        with pytest.raises(KeyboardInterrupt):
            print("once", file=stream)
        monkeypatch.undo()
        stream.flush()
    assert (tmp_path / "log").read_text() == "once\n"
