"""Commands given files that no camera and no drawing program made: none hangs, none shows a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, DataFolder, ScoreFolder, TrainFolder, draw_mask, in_process
from PIL import Image

Spoil = Callable[[Path], None]


def to_fifo(path: Path) -> None:
    os.mkfifo(path)


def to_circle(path: Path) -> None:
    path.symlink_to(path.name)


def to_nowhere(path: Path) -> None:
    path.symlink_to("gone")


def refused(job: subprocess.CompletedProcess[str], told: str) -> bool:
    assert "Traceback" not in job.stderr, job.stderr
    return job.returncode == 2 and told in job.stderr


@pytest.mark.parametrize("spoil", [to_fifo, to_circle, to_nowhere])
@pytest.mark.parametrize("name", ["masks/m001.png", "photos/photo1.jpg", "label_to_img.json"])
def test_generating(data_folder: Callable[[int], DataFolder], spoil: Spoil, name: str) -> None:
    data = data_folder(3)
    folder = {"masks": data.masks, "photos": data.photos}.get(name.split("/")[0], data.references.parent)
    path = folder / Path(name).name
    path.unlink()
    spoil(path)
    assert refused(data.in_process("--dry-run"), str(path.relative_to(data.path)))
    skipped = data.in_process("--dry-run", "--on_bad_input", "skip")
    if path == data.references:
        assert refused(skipped, path.name)
    else:
        assert skipped.returncode == 0 and "skipped " in skipped.stdout, skipped.stderr


@pytest.mark.parametrize("option", ["--input_path", "--img_path", "--output_path"])
def test_generating_where_links_lead_in_a_circle(data_folder: Callable[[int], DataFolder], option: str) -> None:
    data = data_folder(1)
    (data.path / "circle").symlink_to("circle")
    assert refused(data.in_process("--dry-run", option, "circle"), "circle")


def test_masks_that_the_network_squeezes_are_remarked_once(data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(4)
    for index in (1, 3):
        Image.fromarray(draw_mask(index, (64, 128))).save(data.masks / f"m00{index}.png")
    said = [line for line in data.in_process("--dry-run").stdout.splitlines() if "squeezed" in line]
    assert len(said) == 1 and "2 mask(s)" in said[0] and "128x64: m001.png 64x128, …" in said[0]


@pytest.mark.process
def test_what_systems_leave_is_in_nobodys_way(data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(2)
    for folder in (data.masks, data.photos, data.references.parent):
        for name in ("._m000.png", ".DS_Store", "Thumbs.db"):
            (folder / name).touch()
    assert data.generate().returncode == 0
    (data.results / ".DS_Store").touch()
    folder = data.results.stat().st_ino
    assert data.in_process().returncode == 0 and data.results.stat().st_ino == folder  # nothing was left to do
    replaced = data.generate("--seed", 5, "--overwrite")
    assert replaced.returncode == 0, replaced.stderr
    (data.results / ".precious").touch()
    assert refused(data.in_process("--seed", 6, "--overwrite"), ".precious")


@pytest.mark.parametrize("spoil", [to_fifo, to_circle, to_nowhere])
@pytest.mark.parametrize("name", ["imgs/p1.jpg", "labels/p1.png"])
def test_training(train_folder: Callable[[int], TrainFolder], spoil: Spoil, name: str) -> None:
    data = train_folder(5)
    (data.data / name).unlink()
    spoil(data.data / name)
    assert refused(data.in_process("--dry-run"), name)
    skipped = data.in_process("--dry-run", "--on_bad_input", "skip")
    assert skipped.returncode == 0 and "4 pairs" in skipped.stdout and name in skipped.stdout, skipped.stderr


def test_training_on_names_that_are_not_utf_8(train_folder: Callable[[int], TrainFolder]) -> None:
    data = train_folder(5)
    for path in (data.data / "imgs/p1.jpg", data.data / "labels/p1.png"):
        path.rename(path.with_name(os.fsdecode(b"\xff" + path.suffix.encode())))
    assert refused(data.in_process("--dry-run"), "ff.jpg")
    skipped = data.in_process("--dry-run", "--on_bad_input", "skip")
    assert skipped.returncode == 0 and "4 pairs" in skipped.stdout, skipped.stderr


def test_a_list_of_no_effect_is_told(train_folder: Callable[[int], TrainFolder]) -> None:
    data = train_folder(5)
    (data.path / "list.txt").write_text("\ufeffimgs\\p1.jpg\r\nP2.jpg\r\nnothing\r\n", encoding="utf-8")
    job = data.in_process("--dry-run", "--exclude_list", data.path / "list.txt")
    assert job.returncode == 0 and "4 pairs, 1 " in job.stdout and "P2.jpg, nothing" in job.stdout


@pytest.mark.parametrize("spoil", [to_fifo, to_circle, to_nowhere])
def test_scoring(tmp_path: Path, spoil: Spoil) -> None:
    data = ScoreFolder(tmp_path, 3)
    (data.results / "m001.jpg").unlink()
    spoil(data.results / "m001.jpg")
    assert refused(data.in_process("--dry-run"), "m001.jpg")


def test_results_may_end_in_capitals(tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path, 3)
    for path in list(data.results.iterdir()):
        path.rename(path.with_suffix({"m000": ".JPG", "m001": ".Jpeg"}.get(path.stem, ".jpg")))
    job = data.in_process("--dry-run")
    assert job.returncode == 0 and "does not exist" not in job.stderr, job.stderr
    shown = in_process([sys.executable, ROOT / "launch/gallery.py"], data.path)
    assert shown.returncode == 0 and "missing" not in shown.stderr, shown.stderr


def test_a_gallery_without_a_map_says_why(tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path, 1)
    data.references.unlink()
    job = in_process([sys.executable, ROOT / "launch/gallery.py"], data.path)
    assert refused(job, "label_to_img.json") and "no masks" not in job.stderr


@pytest.mark.process
def test_a_photo_of_postscript_starts_nothing(data_folder: Callable[[int], DataFolder]) -> None:
    data = data_folder(1)
    (data.photos / "photo0.jpg").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 128 64\nshowpage\n")
    programs = data.path / "programs"
    programs.mkdir()
    (programs / "gs").write_text(f"#!/bin/sh\ntouch '{data.path.parent}/started'\n")
    (programs / "gs").chmod(0o755)
    path = f"{programs}:{os.environ['PATH']}"
    job = subprocess.run(
        data.command("--dry-run"), cwd=data.path, env={**os.environ, "PATH": path}, capture_output=True, text=True
    )
    assert refused(job, "photo0.jpg") and "PostScript" in job.stderr and not (data.path.parent / "started").exists()


@pytest.mark.process
def test_a_mask_of_few_bits_is_painted_as_one_of_eight(data_folder: Callable[[int], DataFolder]) -> None:
    """Pictures of both are the same bytes."""
    from made_up_png import GREY, png

    data = data_folder(1)
    samples = np.asarray(Image.open(data.masks / "m000.png")) % 16
    (data.masks / "m000.png").write_bytes(png(samples, 4, GREY))
    references = json.loads(data.references.read_text())
    Image.fromarray(samples).save(data.masks / "eight.png")
    data.references.write_text(json.dumps({**references, "eight.png": "photo0.jpg"}))
    job = data.generate("--noise", 0)
    assert job.returncode == 0, job.stderr
    pictures = data.pictures()
    assert pictures["m000.jpg"] == pictures["eight.jpg"]
