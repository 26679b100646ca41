"""What was found out of a file counts as long as it stays as it is, and not longer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import wait_until

from ecgan import file_notes
from ecgan.file_notes import FileNotes, stamp_of
from ecgan.files import sha256_of

LONG_AGO = 1_000_000_000


def age(path: Path, seconds: int = LONG_AGO) -> None:
    os.utime(path, (seconds, seconds))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.png"
    path.write_bytes(b"content")
    age(path)
    return path


def noted(file: Path, beside: str = "notes") -> Path:
    """A file with a note on it."""
    notes, path = FileNotes(1), file.with_name(beside)
    notes.note("a", stamp_of(file), "words of it")
    notes.save(path)
    return path


def touched(path: Path) -> None:
    age(path, LONG_AGO + 1)


def longer(path: Path) -> None:
    path.write_bytes(b"content and more")
    age(path)


def another(path: Path) -> None:
    other = path.with_name("other")
    other.write_bytes(b"CONTENT")
    age(other)
    other.replace(path)


def gone(path: Path) -> None:
    path.unlink()


def test_a_note_outlives_the_process(file: Path) -> None:
    notes = FileNotes.load(noted(file), 1)
    assert notes.known("a", stamp_of(file)) == "words of it"
    assert notes.known("b", stamp_of(file)) is None
    assert FileNotes.load(file.with_name("notes"), 2).known("a", stamp_of(file)) is None  # decided by something else


@pytest.mark.parametrize("change", [touched, longer, another, gone])
def test_a_file_that_has_changed_is_not_known(file: Path, change: Callable[[Path], None]) -> None:
    notes = FileNotes.load(noted(file), 1)
    change(file)
    assert notes.known("a", stamp_of(file)) is None


def test_what_may_change_again_with_the_same_time_is_not_noted(file: Path) -> None:
    for when in (None, (2e10, 2e10)):  # now, and in a server's future
        os.utime(file, when)
        assert stamp_of(file) is None
        path = noted(file)
        age(file)
        assert FileNotes.load(path, 1).known("a", stamp_of(file)) is None


def test_what_others_replace_in_place_is_not_known(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the size and the time that it had."""
    assert stamp_of(file) is not None and stamp_of(file, status=True) is None  # it was written just now
    monkeypatch.setattr(file_notes, "_TOO_NEW", 0)
    before, written, changed = stamp_of(file), stamp_of(file, status=True), file.stat().st_ctime_ns
    assert written == stamp_of(file, status=True)

    def replaced() -> bool:
        file.write_bytes(b"CONTENT")
        age(file)
        return file.stat().st_ctime_ns != changed

    wait_until(replaced)  # the file system's clock may be coarse
    assert stamp_of(file) == before and stamp_of(file, status=True) not in (None, written)


@pytest.mark.parametrize(
    "spoil", [lambda text: "", lambda text: "[" * 9999, lambda text: text[:-9], lambda text: "5\n"]
)
def test_damaged_notes_are_none(file: Path, spoil: Callable[[str], str]) -> None:
    path = noted(file)
    path.write_text(spoil(path.read_text()))
    assert FileNotes.load(path, 1).known("a", stamp_of(file)) is None


def test_what_nobody_asks_for_any_more_is_forgotten_and_what_is_known_is_not_written_again(file: Path) -> None:
    notes, path = FileNotes(), file.with_name("notes")
    for key in ("a", "b", "\udc80"):
        notes.note(key, stamp_of(file), "words")
    notes.save(path)
    again = FileNotes.load(path)
    assert all(again.known(key, stamp_of(file)) for key in ("a", "b", "\udc80"))
    written = path.stat().st_ino
    for known in (again, notes):
        known.save(path)
        assert path.stat().st_ino == written  # nothing was new
    for known in (again, notes):
        path.unlink()
        known.save(path)
        assert FileNotes.load(path).known("b", stamp_of(file)) == "words"
    FileNotes().save(file.with_name("none"))
    assert not file.with_name("none").exists()
    noted_twice = FileNotes()
    noted_twice.note("a", stamp_of(file), "words")
    noted_twice.note("b", stamp_of(file), "words")
    noted_twice.save(path)
    less = FileNotes.load(path)
    assert less.known("b", stamp_of(file))
    less.save(path)
    assert [FileNotes.load(path).known(key, stamp_of(file)) for key in ("a", "b")] == [None, "words"]


def test_a_file_is_hashed_once(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes = FileNotes()
    assert notes.sha256_of(file) == sha256_of(file)
    monkeypatch.setattr("ecgan.file_notes.sha256_of", lambda path: "anew")
    assert notes.sha256_of(file) == sha256_of(file)
    touched(file)
    assert notes.sha256_of(file) == "anew"
