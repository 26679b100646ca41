"""Finding and checking a test set: every fault is named."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data import images, opening
from ecgan.data.faults import Fault
from ecgan.data.testset import check_pictures, find_test_set, squeezed
from ecgan.file_notes import FileNotes

MODEL = ModelConfig()


def write_set(folder: Path, masks: str = "val_B_labels_resized") -> tuple[Path, Path]:
    test, photos = folder / "test", folder / "imgs"
    (test / masks).mkdir(parents=True)
    photos.mkdir()
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(test / masks / "a.png")
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(photos / "p.jpg")
    (test / "label_to_img.json").write_text('{"a.png": "p.jpg"}')
    return test, photos


@pytest.mark.parametrize("masks", ["val_B_labels_resized", "labels", "lables", "whatever"])
def test_masks_are_found_however_their_folder_is_called(tmp_path: Path, masks: str) -> None:
    test, photos = write_set(tmp_path, masks)
    for given in (test, test / masks):
        found = find_test_set(given, photos)
        assert not found.faults
        assert [(item.name, item.reference) for item in found.items] == [("a", photos / "p.jpg")]


def test_missing_folders_are_named(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    found = find_test_set(tmp_path / "no", tmp_path / "neither")
    assert [fault.reason for fault in found.faults] == [
        f"{tmp_path / 'no'}: no such folder",
        f"{tmp_path / 'neither'}: no such folder",
    ]
    (test / "label_to_img.json").unlink()
    assert "label_to_img.json" in find_test_set(test, photos).faults[0].reason


def test_ambiguous_or_absent_masks(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path, "one")
    (test / "two").mkdir()
    (test / "two" / "b.png").write_bytes((test / "one" / "a.png").read_bytes())
    assert "one, two" in find_test_set(test, photos).faults[0].reason
    assert any("no masks" in fault.reason for fault in find_test_set(photos, photos).faults)


def test_masks_that_would_give_the_same_result(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    (folder / "a.PNG").write_bytes((folder / "a.png").read_bytes())
    found = find_test_set(test, photos)
    assert len(found.faults) == 2 and all("a.PNG" in fault.reason or "a.png" in fault.reason for fault in found.faults)


@pytest.mark.parametrize(
    "text, part",
    [
        ("{", "not valid JSON"),
        ("[" * 100_000, "not valid JSON (nested more than"),
        ("\xff", "not valid JSON (not UTF-8"),
        ("[1]", "must be of the form"),
        ('{"a.png": 3}', "must be of the form"),
        ('{"a.png": "p.jpg", "a.png": "p.jpg"}', "a.png is named 2 times"),
        ('{"a.png": "q.jpg"}', "q.jpg: does not exist (reference of a.png)"),
        ("{}", "a.png: no reference"),
        ('{"a.png": "p.jpg", ".b.png": "p.jpg"}', ".b.png: named in label_to_img.json, is hidden by its dot"),
        ('{"a.png": "p.jpg", "b.png": "p.jpg"}', "b.png: named in label_to_img.json, does not exist"),
    ],
)
def test_faults_of_the_map(tmp_path: Path, text: str, part: str) -> None:
    test, photos = write_set(tmp_path)
    (test / "label_to_img.json").write_text(text, encoding="latin-1")
    assert part in " ".join(fault.reason for fault in find_test_set(test, photos).faults)


def remove(path: Path) -> None:
    path.unlink()


def to_fifo(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def to_circle(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.name)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (remove, "No such file"),
        (to_fifo, "a FIFO, not a file"),
        (to_circle, "Too many levels"),
        (lambda path: path.write_text("{"), "not valid JSON"),
        (lambda path: path.write_text("[]"), "must be of the form"),
    ],
)
def test_a_map_that_can_not_be_used_is_one_fault(tmp_path: Path, spoil: Callable[[Path], object], told: str) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    for index in range(30):
        (folder / f"m{index}.png").write_bytes((folder / "a.png").read_bytes())
    spoil(test / "label_to_img.json")
    found = find_test_set(test, photos)
    faults = [*found.faults, *check_pictures(found.items, MODEL, FileNotes()).faults]
    assert len(faults) == 1 and "label_to_img.json" in faults[0].reason and told in faults[0].reason


def test_photos_that_are_nowhere_are_one_fault(tmp_path: Path) -> None:
    test, _ = write_set(tmp_path)
    found = find_test_set(test, tmp_path / "nowhere")
    assert [fault.reason for fault in found.faults] == [f"{tmp_path / 'nowhere'}: no such folder"] and not found.items


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    (test / "label_to_img.json").write_text('\ufeff{"a.png": "p.jpg"}', encoding="utf-8")
    found = find_test_set(test, photos)
    assert len(found.items) == 1 and not found.faults


@pytest.mark.parametrize("masks", ["val_B_labels_resized", "whatever"])
def test_what_systems_leave_is_no_mask_and_no_folder_of_masks(tmp_path: Path, masks: str) -> None:
    test, photos = write_set(tmp_path, masks)
    for name in ("__MACOSX", ".hidden", "@eaDir"):
        (test / name).mkdir()
        (test / name / "b.png").touch()
    for folder in (test, test / masks):
        for name in ("._a.png", ".DS_Store", ".b.png", "Thumbs.db"):
            (folder / name).touch()
    (test / "label_to_img.json").write_text('{"a.png": "p.jpg", "._a.png": "._p.jpg", ".DS_Store": "p.jpg"}')
    found = find_test_set(test, photos)
    assert [item.name for item in found.items] == ["a"] and not found.faults


def test_a_folder_that_may_not_be_read_is_no_folder_of_masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, photos = write_set(tmp_path, "whatever")
    (test / "lost+found").mkdir()
    listed = os.listdir

    def listdir(path: Path) -> list[str]:
        if path.name == "lost+found":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(os, "listdir", listdir)
    assert not find_test_set(test, photos).faults
    (test / "whatever").rename(test / "labels")
    monkeypatch.setattr(os, "listdir", lambda path: listdir(path.with_name("lost+found")))
    assert "Permission denied" in find_test_set(test, photos).faults[0].reason


@pytest.mark.parametrize("told", ["gone.png", "FIFO"])
def test_a_mask_that_can_not_be_opened_is_a_fault_of_its_own(tmp_path: Path, told: str) -> None:
    test, photos = write_set(tmp_path)
    mask = test / "val_B_labels_resized/b.png"
    os.mkfifo(mask) if told == "FIFO" else mask.symlink_to("gone.png")
    (test / "label_to_img.json").write_text('{"a.png": "p.jpg", "b.png": "p.jpg"}')
    found = find_test_set(test, photos)
    assert not found.faults
    [fault] = check_pictures(found.items, MODEL, FileNotes()).faults
    assert fault.name == "b" and "b.png" in fault.reason and told in fault.reason


@pytest.mark.parametrize("spoil", [to_fifo, to_circle, remove])
def test_a_photo_that_can_not_be_opened_is_told(tmp_path: Path, spoil: Callable[[Path], object]) -> None:
    test, photos = write_set(tmp_path)
    spoil(photos / "p.jpg")
    found = find_test_set(test, photos)
    [fault] = found.faults or check_pictures(found.items, MODEL, FileNotes()).faults
    assert fault.name == "a" and "p.jpg" in fault.reason


@pytest.mark.parametrize("name", ["\ud800.jpg", "a\0b.jpg", "x" * 300, "new\nline.jpg", "\x1b[31m.jpg"])
def test_a_fault_is_one_line_whatever_is_named(tmp_path: Path, name: str) -> None:
    test, photos = write_set(tmp_path)
    (test / "label_to_img.json").write_text(json.dumps({"a.png": name}))
    [fault] = find_test_set(test, photos).faults
    assert fault.reason.isprintable() and fault.reason.encode()
    assert Fault(None, "a\nb").reason == "a\\nb"


def test_masks_that_are_squeezed_are_found(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    for name, size in (("near", (80, 58)), ("tall", (60, 80)), ("square", (40, 40))):
        Image.new("L", size).save(folder / f"{name}.png")
    names = [path.name for path in folder.iterdir()]
    (test / "label_to_img.json").write_text(json.dumps(dict.fromkeys(names, "p.jpg")))
    checked = check_pictures(find_test_set(test, photos).items, MODEL, FileNotes())
    assert checked.sizes[folder / "tall.png"] == (60, 80) and len(checked.sizes) == 4
    assert [path.stem for path in squeezed(checked.sizes, (512, 384))] == ["square", "tall"]


def test_a_mask_that_is_none_may_be_a_photo(tmp_path: Path) -> None:
    """Masks and photos lie in one folder."""
    Image.fromarray(np.zeros((6, 8), np.uint8)).save(tmp_path / "mask.png")
    Image.fromarray(np.zeros((6, 8, 3), np.uint8)).save(tmp_path / "photo.png")
    references = dict.fromkeys(("mask.png", "photo.png"), "photo.png")
    (tmp_path / "label_to_img.json").write_text(json.dumps(references))
    checked = check_pictures(find_test_set(tmp_path, tmp_path).items, MODEL, FileNotes())
    assert [fault.name for fault in checked.faults] == ["photo"] and len(checked.digests) == 2
    assert checked.sizes == {tmp_path / "mask.png": (8, 6)} and not squeezed(checked.sizes, (512, 384))


def test_every_picture_of_a_broken_reference_is_named(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (test / "label_to_img.json").write_text(json.dumps({"a.png": "p.jpg", "b.png": "p.jpg"}))
    (photos / "p.jpg").write_bytes((photos / "p.jpg").read_bytes()[:-30])
    faults = check_pictures(find_test_set(test, photos).items, MODEL, FileNotes()).faults
    assert sorted(fault.name or "" for fault in faults) == ["a", "b"]
    assert all("p.jpg" in fault.reason for fault in faults)


def test_every_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (test / "label_to_img.json").write_text(json.dumps({"a.png": "p.jpg", "b.png": "p.jpg"}))
    items, opened = find_test_set(test, photos).items, Counter[Path]()
    read = images.read_bytes

    def counting(path: Path) -> bytes:
        opened[path] += 1
        return read(path)

    monkeypatch.setattr(opening, "read_bytes", counting)
    monkeypatch.setattr(images, "read_bytes", counting)
    checked = check_pictures(items, MODEL, FileNotes())
    files = [folder / "a.png", folder / "b.png", photos / "p.jpg"]
    assert opened == dict.fromkeys(files, 1) and not checked.faults
    assert checked.digests == {path: hashlib.sha256(read(path)).digest() for path in files}


def test_real_test_set_has_no_faults(landscape_mini: Path) -> None:
    found = find_test_set(landscape_mini / "test", landscape_mini / "train" / "imgs")
    assert len(found.items) == 1000 and not found.faults
    assert not check_pictures(found.items[:50], MODEL, FileNotes()).faults
