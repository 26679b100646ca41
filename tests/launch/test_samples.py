"""Several pictures for each mask, from generating to handing in, and the best of them kept."""

from __future__ import annotations

import csv
import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, DataFolder, ScoreFolder, in_process, wait_until

from ecgan.checkpoint import open_checkpoint
from ecgan.data.faults import Fault
from jobs.samples import by_mask, faults_of_samples, seeds_of

OPTIONS = ("--format", "png", "--seed", 5)


def folder_of(data: DataFolder, name: str) -> dict[str, str]:
    """SHA-256 of the pictures by name."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (data.path / name).glob("*.png")}


@pytest.mark.process
def test_each_sample_is_what_its_seed_paints_alone(tmp_path: Path, tiny_checkpoint: Path) -> None:
    data = DataFolder(tmp_path / "data", 3, tiny_checkpoint)
    started = data.start(*OPTIONS, "--samples_per_mask", 3, "--shards", 2, "--workers", 1)
    wait_until(lambda: any(data.run.glob("images/*.png")) or started.poll() is not None)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    several = data.generate(*OPTIONS, "--samples_per_mask", 3, "--shards", 2)
    assert several.returncode == 0, several.stderr
    found = folder_of(data, "results")
    assert len(found) == len(set(found.values())) == 9
    for seed in (5, 7):
        alone = data.generate("--format", "png", "--seed", seed, "--output_path", f"seed-{seed}")
        assert alone.returncode == 0, alone.stderr
        assert {
            name.replace(f".seed{seed}.", "."): digest for name, digest in found.items() if f".seed{seed}." in name
        } == (folder_of(data, f"seed-{seed}"))
    manifest = json.loads((data.results / "manifest.json").read_text())
    assert manifest["seeds"] == [5, 6, 7] and manifest["images"]["m001.seed6.png"]["seed"] == 6

    more = data.generate(*OPTIONS, "--samples_per_mask", 4, "--overwrite")
    assert more.returncode == 0 and "9 made already, 3 to do" in more.stdout, more.stdout + more.stderr
    fewer = data.generate(*OPTIONS, "--samples_per_mask", 2)
    assert fewer.returncode == 2 and "--overwrite" in fewer.stderr and len(folder_of(data, "results")) == 12

    pack = [sys.executable, ROOT / "launch/pack.py"]
    refused = in_process(pack, data.path)
    assert refused.returncode == 2 and "--per_mask" in refused.stderr
    score = [sys.executable, str(ROOT / "launch/score.py"), "--device", "cpu"]
    scored = subprocess.run(score, cwd=data.path, capture_output=True, text=True, timeout=600)
    assert scored.returncode == 0, scored.stderr
    with open(data.path / "results.score/images.csv", newline="") as file:
        style = {row["name"]: float(row["style_rgb"]) for row in csv.DictReader(file)}
    assert len(style) == 12

    pick = [sys.executable, ROOT / "launch/pick.py", "--per_mask", "best"]
    picked = in_process(pick, data.path)
    assert picked.returncode == 0 and "3 pictures in " in picked.stdout, picked.stderr
    names = {
        mask: max((value, name) for name, value in style.items() if name.startswith(mask))[1]
        for mask in ("m000", "m001", "m002")
    }
    now = folder_of(data, "results")
    assert folder_of(data, "best") == {f"{mask}.png": now[f"{name}.png"] for mask, name in names.items()}
    assert in_process(pick, data.path).returncode == 2  # best/ is there
    packed = in_process([*pack, "--results", "best"], data.path)
    assert packed.returncode == 0 and "3 pictures" in packed.stdout, packed.stderr
    taken = data.in_process(*OPTIONS, "--output_path", "best", "--dry-run")
    assert taken.returncode == 2 and "--overwrite" in taken.stderr  # it is nobody's generation


@pytest.mark.process
def test_samples_of_the_mean_style_differ_by_noise_maps_alone(tmp_path: Path, tiny_checkpoint: Path) -> None:
    from ecgan.random_model import save_random

    without = DataFolder(tmp_path / "without", 2, tiny_checkpoint)
    refused = without.in_process("--samples_per_mask", 2, "--noise", 0)
    assert refused.returncode == 2 and "--samples_per_mask" in refused.stderr and "no seed matters" in refused.stderr
    save_random(tmp_path / "noisy", replace(open_checkpoint(tiny_checkpoint).model, noise_maps=True), seed=1)
    data = DataFolder(tmp_path / "with", 2, tmp_path / "noisy")
    job = data.generate(*OPTIONS, "--samples_per_mask", 2, "--noise", 0, "--shards", 3)
    assert job.returncode == 0, job.stderr
    found = folder_of(data, "results")
    assert len(found) == len(set(found.values())) == 4
    one = data.generate(*OPTIONS, "--samples_per_mask", 2, "--noise", 0, "--shards", 1, "--output_path", "again")
    assert one.returncode == 0 and folder_of(data, "again") == found, one.stderr


@pytest.mark.process
def test_what_is_wrong_with_a_mask_is_so_with_all_its_samples(tmp_path: Path, tiny_checkpoint: Path) -> None:
    data = DataFolder(tmp_path / "data", 2, tiny_checkpoint)
    (data.masks / "m000.png").write_bytes(b"no picture")
    job = data.generate(*OPTIONS, "--samples_per_mask", 2, "--on_bad_input", "skip")
    assert job.returncode == 1 and set(folder_of(data, "results")) == {"m001.seed5.png", "m001.seed6.png"}, job.stderr
    left_out = json.loads((data.results / "manifest.json").read_text())["left_out"]
    assert [gap["name"] for gap in left_out] == ["m000.seed5", "m000.seed6"]


def test_names_tell_masks_from_samples() -> None:
    names = ["a.seed1", "a.seed2", "a.seed1.seed2", "b.seed2", "c"]
    found = by_mask(names, (1, 2))
    assert found == {"a": [(1, "a.seed1"), (2, "a.seed2")], "a.seed1": [(2, "a.seed1.seed2")], "b": [(2, "b.seed2")]}
    fault = [Fault("a", "broken"), Fault(None, "no list")]
    assert [each.name for each in faults_of_samples(fault, (1, 2))] == ["a.seed1", "a.seed2", None]
    assert seeds_of({"seeds": [1, 2]}) == (1, 2) and seeds_of({"seeds": "x"}) == seeds_of({}) == seeds_of(None) == ()


@pytest.mark.parametrize("options", [("--count", 2), ("--variety", 0.1), ("--output", "x.jpg")])
def test_options_of_the_sheet_are_refused_where_there_is_none(tmp_path: Path, options: tuple[object, ...]) -> None:
    job = in_process([sys.executable, ROOT / "launch/pick.py", "--per_mask", "best", *options], tmp_path)
    assert job.returncode == 2 and str(options[0]) in job.stderr


@pytest.mark.process
def test_one_picture_for_each_mask_leaves_nothing_to_pick(tmp_path: Path) -> None:
    data = ScoreFolder(tmp_path / "data", 2)
    assert data.generate().returncode == 0
    job = in_process([sys.executable, ROOT / "launch/pick.py", "--per_mask", "best"], data.path)
    assert job.returncode == 2 and "--samples_per_mask" in job.stderr


@pytest.mark.process
def test_pictures_of_the_first_masks_are_shown_and_scored_as_such(tmp_path: Path, tiny_checkpoint: Path) -> None:
    data = DataFolder(tmp_path / "data", 3, tiny_checkpoint)
    made = data.generate("--how_many", 2)
    assert made.returncode == 0, made.stderr
    score = [sys.executable, str(ROOT / "launch/score.py"), "--device", "cpu"]
    scored = subprocess.run(score, cwd=data.path, capture_output=True, text=True, timeout=600)
    assert scored.returncode == 0, scored.stderr
    with open(data.path / "results.score/images.csv", newline="") as file:
        assert [row["name"] for row in csv.DictReader(file)] == ["m000", "m001"]
    shown = in_process([sys.executable, ROOT / "launch/gallery.py"], data.path)
    assert shown.returncode == 0 and "missing" not in shown.stderr + shown.stdout, shown.stderr
