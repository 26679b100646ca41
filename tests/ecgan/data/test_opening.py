"""Masks and photos are opened once, by threads or by child processes, and again only if they have changed."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import wait_until
from PIL import Image

from ecgan import file_notes
from ecgan.config import ModelConfig
from ecgan.data import opening
from ecgan.data.opening import File, Seen, look_at, notes_on_files

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
    monkeypatch.setattr(file_notes, "_TOO_NEW", 0)
    noted, read = tmp_path / "notes", reading(monkeypatch)
    notes, ticks = notes_on_files(noted, MODEL), []
    first = look_at(files, MODEL, notes, lambda: ticks.append(1))
    assert sorted(read) == sorted(file.path for file in files) and len(ticks) == len(files)
    assert [found.fault is None for found in first] == [number not in (7, 13) for number in range(14)]
    assert first[3].size == (11, 6) and first[12].size == (7, 9)
    notes.save(noted)

    os.utime(files[2].path, (1e9, 1e9 + 1))
    in_place, changed = files[4].path, files[4].path.stat().st_ctime_ns

    def replaced() -> bool:
        in_place.write_bytes(in_place.read_bytes())
        os.utime(in_place, (1e9, 1e9))
        return in_place.stat().st_ctime_ns != changed

    wait_until(replaced)
    read.clear()
    assert look_at(files, MODEL, notes_on_files(noted, MODEL)) == first
    assert sorted(read) == sorted(files[number].path for number in (2, 4, 7, 13))
    read.clear()
    look_at(files, MODEL, notes_on_files(noted, ModelConfig(label_nc=6)))  # other classes: all have to be looked at
    assert len(read) == len(files)


def seen_here(files: list[File]) -> list[Seen]:
    return [opening._see(file, MODEL) for file in files]


@pytest.fixture
def with_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two open even a few files."""
    monkeypatch.setattr(opening, "_MANY", 1)
    monkeypatch.setattr(opening, "_CHUNK", 3)
    monkeypatch.setattr(opening, "cores", lambda: 2)


@pytest.mark.process
@pytest.mark.usefixtures("with_children")
@pytest.mark.parametrize("dies", [False, True])
def test_children_see_the_same(files: list[File], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dies: bool) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit")  # what lies in the working folder is not imported
    monkeypatch.chdir(tmp_path)
    here = seen_here(files)
    read, started, start = reading(monkeypatch), [], opening._start

    def starting(model: ModelConfig) -> subprocess.Popen[str]:
        started.append(start(model))
        if dies:
            started[-1].kill()
        return started[-1]

    monkeypatch.setattr(opening, "_start", starting)
    ticks: list[int] = []
    assert look_at(files, MODEL, notes_on_files(tmp_path / "none", MODEL), lambda: ticks.append(1)) == here
    assert len(ticks) == len(files) and len(read) == (len(files) if dies else 0)
    assert len(started) == 2 and all(child.returncode is not None for child in started)


@pytest.mark.process
@pytest.mark.usefixtures("with_children")
@pytest.mark.parametrize("can_start", [0, 1, 2])
def test_children_that_can_not_be_started_are_done_without(
    files: list[File], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_start: int
) -> None:
    here, start = seen_here(files), opening._start
    read, started = reading(monkeypatch), []

    def starting(model: ModelConfig) -> subprocess.Popen[str]:
        if len(started) == can_start:
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        started.append(start(model))
        return started[-1]

    monkeypatch.setattr(opening, "_start", starting)
    assert look_at(files, MODEL, notes_on_files(tmp_path / "none", MODEL)) == here
    assert len(started) == can_start and all(child.returncode is not None for child in started)
    assert (len(read) == len(files), len(read) == 0) == (can_start == 0, can_start == 2)


@pytest.mark.process
@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])  # in the first, Python takes to UTF-8 by itself
def test_names_of_files_are_the_same_to_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str) -> None:
    folder = tmp_path / "ecgan/data"
    folder.mkdir(parents=True)
    for package in (folder, folder.parent):
        (package / "__init__.py").touch()
    (folder / "opening.py").write_text("import sys\n\ndef serve():\n    print(sys.flags.utf8_mode)\n")
    monkeypatch.syspath_prepend(tmp_path)  # what the child imports
    monkeypatch.setenv("LC_ALL", locale)
    child = opening._start(MODEL)
    assert child.communicate()[0].strip() == str(sys.flags.utf8_mode)
