"""Finding and checking a test set: every fault is named."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ecgan.config import ModelConfig
from ecgan.data.testset import check_pictures, find_test_set

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
    assert len(found.faults) == 2 and all("same result a" in fault.reason for fault in found.faults)


@pytest.mark.parametrize(
    "text, part",
    [
        ("{", "not valid JSON"),
        ("[1]", "must be of the form"),
        ('{"a.png": 3}', "must be of the form"),
        ('{"a.png": "p.jpg", "a.png": "p.jpg"}', "a.png is named 2 times"),
        ('{"a.png": "q.jpg"}', "q.jpg: does not exist (reference of a.png)"),
        ("{}", "a.png: no reference"),
        ('{"a.png": "p.jpg", "b.png": "p.jpg"}', "b.png: named in label_to_img.json, does not exist"),
    ],
)
def test_faults_of_the_map(tmp_path: Path, text: str, part: str) -> None:
    test, photos = write_set(tmp_path)
    (test / "label_to_img.json").write_text(text)
    assert part in " ".join(fault.reason for fault in find_test_set(test, photos).faults)


def test_every_picture_of_a_broken_reference_is_named(tmp_path: Path) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (test / "label_to_img.json").write_text(json.dumps({"a.png": "p.jpg", "b.png": "p.jpg"}))
    (photos / "p.jpg").write_bytes((photos / "p.jpg").read_bytes()[:-30])
    faults = check_pictures(find_test_set(test, photos).items, MODEL).faults
    assert sorted(fault.name or "" for fault in faults) == ["a", "b"]
    assert all("p.jpg: unreadable or truncated" in fault.reason for fault in faults)


def test_every_file_is_opened_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    test, photos = write_set(tmp_path)
    folder = test / "val_B_labels_resized"
    (folder / "b.png").write_bytes((folder / "a.png").read_bytes())
    (test / "label_to_img.json").write_text(json.dumps({"a.png": "p.jpg", "b.png": "p.jpg"}))
    items, opened = find_test_set(test, photos).items, Counter[Path]()
    read = Path.read_bytes

    def counting(path: Path) -> bytes:
        opened[path] += 1
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", counting)
    checked = check_pictures(items, MODEL)
    files = [folder / "a.png", folder / "b.png", photos / "p.jpg"]
    assert opened == dict.fromkeys(files, 1) and not checked.faults
    assert checked.digests == {path: hashlib.sha256(read(path)).digest() for path in files}


def test_real_test_set_has_no_faults(landscape_mini: Path) -> None:
    found = find_test_set(landscape_mini / "test", landscape_mini / "train" / "imgs")
    assert len(found.items) == 1000 and not found.faults
    assert not check_pictures(found.items[:50], MODEL).faults
