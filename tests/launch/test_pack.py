"""launch/pack.py on results as launch/generate.py leaves them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import ROOT, draw_photo, fill
from PIL import Image

pytestmark = pytest.mark.process

SIZE = (64, 48)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    folder = tmp_path / "the results"
    folder.mkdir()
    images = {}
    for number in range(3):
        path = folder / f"{number}.jpg"
        Image.fromarray(draw_photo(number, SIZE)).save(path)
        images[path.name] = {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    manifest = {"fingerprint": {"size": list(SIZE)}, "images": images}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def pack(results: Path, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "launch/pack.py"), "--results", str(results), *more]
    return subprocess.run(command, cwd=results.parent, capture_output=True, text=True)


def test_the_pictures_and_nothing_else_are_packed(results: Path) -> None:
    done = pack(results)
    archive = results.parent / "submission.zip"
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(archive.read_bytes()).hexdigest() in done.stdout and "3 pictures" in done.stdout
    with zipfile.ZipFile(archive) as opened:
        assert opened.namelist() == ["0.jpg", "1.jpg", "2.jpg"] and opened.testzip() is None
        assert opened.read("1.jpg") == (results / "1.jpg").read_bytes()
    first = archive.read_bytes()
    os.utime(results / "0.jpg", (0, 0))
    assert pack(results).returncode == 0 and archive.read_bytes() == first
    assert sorted(path.name for path in results.parent.iterdir()) == ["submission.zip", "the results"]


def test_what_the_results_lack_is_named(results: Path) -> None:
    manifest = json.loads((results / "manifest.json").read_text())
    left_out = [{"name": "m7", "reason": "m7.png: truncated"}, {"name": None, "reason": "ghost.png: does not exist"}]
    (results / "manifest.json").write_text(json.dumps(manifest | {"left_out": left_out}))
    done = pack(results)
    assert done.returncode == 1 and "m7: m7.png: truncated" in done.stderr and "ghost.png" in done.stderr
    with zipfile.ZipFile(results.parent / "submission.zip") as opened:
        assert len(opened.namelist()) == 3


@pytest.mark.parametrize("harm", ["gone", "half", "other", "extra", "no manifest"])
def test_a_folder_that_is_not_whole_is_not_packed(results: Path, harm: str) -> None:
    picture = results / "1.jpg"
    if harm == "gone":
        picture.unlink()
    elif harm == "half":
        picture.write_bytes(picture.read_bytes()[:400])
    elif harm == "other":
        Image.fromarray(draw_photo(9, SIZE)).save(picture)
    elif harm == "extra":
        (results / "9.jpg").write_bytes(b"")
    else:
        (results / "manifest.json").unlink()
    done = pack(results)
    told = {"extra": "9.jpg", "no manifest": "generate first"}.get(harm, str(picture))
    assert done.returncode == 2 and told in done.stderr and "Traceback" not in done.stderr
    assert [path.name for path in results.parent.iterdir()] == ["the results"]


@pytest.mark.parametrize("output", ["{results}", "{results}/x.zip", "nowhere/x.zip"])
def test_an_output_that_can_not_be(results: Path, output: str) -> None:
    done = pack(results, "--output", output.format(results=results))
    assert done.returncode == 2 and f"--output {output.format(results=results)}" in done.stderr


@pytest.mark.parametrize("disk_is", ["read-only", "full"])
def test_what_can_not_be_written_is_named(results: Path, mount: Callable[[int], Path], disk_is: str) -> None:
    disk = mount(1)
    target = disk / "submission.zip"
    if disk_is == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    done = pack(results, "--output", str(target))
    assert done.returncode == (1 if disk_is == "full" else 2)
    assert str(target) in done.stderr and ".part" not in done.stderr and "Traceback" not in done.stderr
    assert not target.exists() and not list(disk.glob(".*"))


def test_everybody_may_read_what_is_unpacked(results: Path) -> None:
    assert pack(results).returncode == 0
    with zipfile.ZipFile(results.parent / "submission.zip") as opened:
        assert {entry.external_attr >> 16 for entry in opened.infolist()} == {0o100644}
