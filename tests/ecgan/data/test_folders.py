"""Which files of a folder count, and what their names may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from ecgan.data.folders import (
    PHOTO_SUFFIXES,
    find_pictures,
    is_dropping,
    is_ignored,
    is_usable,
    listing,
    printable,
    with_suffix,
)

#: What macOS, Windows, KDE and a NAS leave among the pictures of a user.
DROPPINGS = ["._m0.png", ".DS_Store", "Thumbs.db", "thumbs.db", "desktop.ini", "Desktop.ini", "__MACOSX", "@eaDir"]


@pytest.mark.parametrize("name", DROPPINGS)
def test_what_systems_leave_is_ignored(tmp_path: Path, name: str) -> None:
    (tmp_path / name).touch()
    assert is_dropping(name) and is_ignored(name) and not listing(tmp_path)


@pytest.mark.parametrize("name", [".m.png", ".git", ".nfs0001"])
def test_hidden_files_are_no_input_but_nothing_to_throw_away(name: str) -> None:
    assert is_ignored(name) and not is_dropping(name)


@pytest.mark.parametrize("name", ["m.png", "_m.png", "thumbs.png", "a.DS_Store"])
def test_other_files_count(name: str) -> None:
    assert not is_ignored(name)


def test_endings_are_of_either_case_and_links_may_lead_nowhere(tmp_path: Path) -> None:
    for name in ("b.JPG", "a.Jpeg", "d.png", "e.txt", "f"):
        (tmp_path / name).touch()
    (tmp_path / "c.jpg").symlink_to("nowhere")
    found = [path.name for path in with_suffix(tmp_path, PHOTO_SUFFIXES)]
    assert found == ["a.Jpeg", "b.JPG", "c.jpg", "d.png"]


def test_pictures_of_any_format_are_found_by_stem(tmp_path: Path) -> None:
    for name in ("a.JPG", "b.png", "b.JPEG", "c.PNG", "._a.jpg", "manifest.json"):
        (tmp_path / name).touch()
    found = {stem: path.name for stem, path in find_pictures(tmp_path).items()}
    assert found == {"a": "a.JPG", "b": "b.JPEG", "c": "c.PNG"}


@pytest.mark.parametrize("name", ["\udcff.png", "a\0.png", "ü" * 128])
def test_names_of_which_nothing_can_be_made(name: str) -> None:
    assert not is_usable(name)
    assert is_usable("ü" * 127) and is_usable("a\nb.png")


def test_what_is_shown_is_one_line_of_utf_8() -> None:
    shown = printable("ü a\nb\x1b[31m\udcff\u2028")
    assert shown == "ü a\\nb\\x1b[31m\\udcff\\u2028" and shown.encode()
