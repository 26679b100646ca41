"""Masks and photos are opened once, by threads or by child processes, and again only if they have changed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data import opening
from ecgan.data.opening import File, look_at, notes_on_files

MODEL = ModelConfig(label_nc=5)


@pytest.fixture
def files(tmp_path: Path) -> list[File]:
    """A dozen masks, of which one has a class too many, and two photos, of which one is cut short."""
    found = []
    for number in range(12):
        path = tmp_path / f"{number} é.png"
        Image.fromarray(np.full((6, 8 + number), number % 5 + 5 * (number == 7), np.uint8)).save(path)
        found.append(File(path, "mask"))
    for number in range(2):
        path = tmp_path / f"{number}.jpg"
        Image.fromarray(np.full((9, 7, 3), 50, np.uint8)).save(path)
        found.append(File(path, "photo"))
    found[-1].path.write_bytes(found[-1].path.read_bytes()[:-30])
    for path, _ in found:
        os.utime(path, (1e9, 1e9))
    return found


def reading(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are read from now on in this process."""
    read, paths = opening.read_bytes, []

    def counting(path: Path) -> bytes:
        paths.append(path)
        return read(path)

    monkeypatch.setattr(opening, "read_bytes", counting)
    return paths


def test_only_what_has_changed_or_can_not_be_used_is_opened_again(
    files: list[File], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted, read = tmp_path / "notes", reading(monkeypatch)
    notes, ticks = notes_on_files(noted, MODEL), []
    first = look_at(files, MODEL, notes, lambda: ticks.append(1))
    assert sorted(read) == sorted(file.path for file in files) and len(ticks) == len(files)
    assert [found.fault is None for found in first] == [number not in (7, 13) for number in range(14)]
    assert first[3].size == (11, 6) and first[12].size == (7, 9)
    notes.save(noted)

    os.utime(files[2].path, (1e9, 1e9 + 1))
    read.clear()
    assert look_at(files, MODEL, notes_on_files(noted, MODEL)) == first
    assert sorted(read) == sorted(files[number].path for number in (2, 7, 13))
    read.clear()
    look_at(files, MODEL, notes_on_files(noted, ModelConfig(label_nc=6)))  # other classes: all have to be looked at
    assert len(read) == len(files)


@pytest.mark.process
@pytest.mark.parametrize("dies", [False, True])
def test_children_see_the_same(files: list[File], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit")  # what lies in the working folder is not imported
    monkeypatch.chdir(tmp_path)
    here = look_at(files, MODEL, notes_on_files(tmp_path / "none", MODEL))
    read, started, start = reading(monkeypatch), [], opening._start

    def starting(model: ModelConfig) -> subprocess.Popen[str]:
        started.append(start(model))
        if dies:
            started[-1].kill()
        return started[-1]

    monkeypatch.setattr(opening, "_start", starting)
    monkeypatch.setattr(opening, "_MANY", 1)
    monkeypatch.setattr(opening, "_CHUNK", 3)
    monkeypatch.setattr(opening, "cores", lambda: 2)
    ticks: list[int] = []
    assert look_at(files, MODEL, notes_on_files(tmp_path / "none", MODEL), lambda: ticks.append(1)) == here
    assert len(ticks) == len(files) and len(read) == (len(files) if dies else 0)
    assert len(started) == 2 and all(child.returncode is not None for child in started)
