"""launch/gallery.py and launch/pick.py on a folder that launch/score.py has scored."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, ScoreFolder, draw_mask, draw_photo, fill, in_process
from PIL import Image

from jobs.results.pick import Candidate, choose, likeness, score_of


@pytest.fixture(scope="module")
def scored(tmp_path_factory: pytest.TempPathFactory) -> ScoreFolder:
    data = ScoreFolder(tmp_path_factory.mktemp("gallery") / "with 'quotes'", 6)
    job = data.score("--aesthetic", "aesthetic.py")
    assert job.returncode == 0, job.stderr
    return data


@pytest.fixture
def data(scored: ScoreFolder, tmp_path: Path) -> Path:
    """A copy, to be changed."""
    return Path(shutil.copytree(scored.path, tmp_path / "copy <1> & 100%"))


def launch(folder: Path, command: str, *options: object) -> subprocess.CompletedProcess[str]:
    return in_process([sys.executable, ROOT / "launch" / f"{command}.py", *options], folder)


def shown(page: Path) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text(), re.DOTALL)
    assert match
    return dict(json.loads(match[1]))


@pytest.mark.process
def test_a_page_of_a_scored_folder(data: Path) -> None:
    words = [sys.executable, str(ROOT / "launch/gallery.py")]
    job = subprocess.run(words, cwd=data, capture_output=True, text=True, timeout=600)
    assert job.returncode == 0 and str(data / "results.html") in job.stdout, job.stderr
    page = shown(data / "results.html")
    assert page["numbers"] == ["style rgb", "style hsv", "style hue", "aesthetic"]
    first = page["rows"][0]
    assert first["name"] == "m000" and first["links"][1:] == ["data/train/imgs/photo0.jpg", "results/m000.jpg"]
    means = [np.asarray(Image.open(data / f"results/m{i:03}.jpg")).mean() / 255 for i in range(6)]
    assert [row["numbers"][3] for row in page["rows"]] == pytest.approx(means, abs=1e-4)


def test_two_folders_side_by_side(data: Path) -> None:
    """The second has never been scored and lacks a picture."""
    other = Path(shutil.copytree(data / "results", data / "elsewhere/results"))
    (other / "m003.jpg").unlink()
    job = launch(data, "gallery", "--against", "elsewhere/results", "--output", "both.html")
    assert job.returncode == 1 and "m003" in job.stderr
    page = shown(data / "both.html")
    assert page["columns"] == ["mask", "reference", f"{data.name}/results", "elsewhere/results"]
    assert page["numbers"][0] == f"style rgb ({data.name}/results)" and len(page["numbers"]) == 4
    assert page["rows"][3]["pictures"][3] == "" and all(page["rows"][2]["pictures"])


def test_folders_of_the_same_name_are_told_apart(data: Path) -> None:
    other = data / "other/copy <1> & 100%/results"
    shutil.copytree(data / "results", other)
    shutil.copytree(data / "results.score", other.with_name("results.score"))
    job = launch(data, "gallery", "--against", other, "--output", "both.html")
    assert job.returncode == 0, job.stderr
    page = shown(data / "both.html")
    assert len(page["numbers"]) == 8 and len(set(page["columns"])) == 4


def test_numbers_of_a_picture_that_changed_are_not_shown(data: Path) -> None:
    Image.fromarray(draw_photo(9)).save(data / "results/m002.jpg")
    job = launch(data, "gallery")
    assert job.returncode == 1 and "m002.jpg: " in job.stderr
    rows = shown(data / "results.html")["rows"]
    assert rows[2]["numbers"] == [None] * 4 and None not in rows[1]["numbers"]
    picked = launch(data, "pick")
    assert picked.returncode == 2 and "m002.jpg" in picked.stderr


def test_numbers_that_are_none_are_named(data: Path) -> None:
    (data / "results.score/images.csv").write_text("name,other\nm000,1\n")
    for command in ("gallery", "pick"):
        job = launch(data, command)
        assert job.returncode == 2 and "images.csv" in job.stderr, job.stderr


def test_folders_that_were_never_scored_can_be_looked_at(data: Path) -> None:
    shutil.rmtree(data / "results.score")
    assert launch(data, "gallery").returncode == 0 and shown(data / "results.html")["numbers"] == []
    job = launch(data, "pick")
    assert job.returncode == 2 and "launch/score.py" in job.stderr


@pytest.mark.parametrize(
    "command, options, told",
    [
        ("gallery", ("--results", "nowhere"), "--results nowhere"),
        ("gallery", ("--against", "nowhere"), "--against nowhere"),
        ("gallery", ("--score", "data"), "--score data"),
        ("gallery", ("--output", "results/page.html"), "results/page.html"),
        ("gallery", ("--output", "nowhere/page.html"), "nowhere/page.html"),
        ("pick", ("--results", "nowhere"), "--results nowhere"),
        ("pick", ("--count", 7), "--count 7: only 6 "),
        ("pick", ("--count", 0), "--count is 0"),
        ("pick", ("--variety", 1), "--variety is 1.0"),
        ("pick", ("--output", "nowhere/x.jpg"), "nowhere/x.jpg"),
        ("pick", ("--output", "picks.png"), "picks.png"),
        ("pick", ("--output", "results/picks.jpg"), "results/picks.jpg"),
    ],
)
def test_wrong_options_are_named(scored: ScoreFolder, command: str, options: tuple[object, ...], told: str) -> None:
    before = sorted(scored.path.rglob("*"))
    job = launch(scored.path, command, *options)
    assert job.returncode == 2 and told in job.stderr and sorted(scored.path.rglob("*")) == before


@pytest.mark.parametrize("disk_is", ["read-only", "full"])
def test_a_page_that_can_not_be_written_is_named(
    scored: ScoreFolder, mount: Callable[[int], Path], disk_is: str
) -> None:
    disk = mount(1)
    if disk_is == "full":
        fill(disk)
    else:
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    job = launch(scored.path, "gallery", "--output", disk / "page.html")
    assert job.returncode == (1 if disk_is == "full" else 2) and str(disk / "page.html") in job.stderr
    assert ".part" not in job.stderr and not (disk / "page.html").exists()


@pytest.mark.process
def test_the_best_are_picked_and_shown(data: Path) -> None:
    words = [sys.executable, str(ROOT / "launch/pick.py"), "--variety", "0", "--count", "2"]
    best = subprocess.run(words, cwd=data, capture_output=True, text=True, timeout=600)
    assert best.returncode == 0, best.stderr
    numbers = {}
    for line in (data / "results.score/images.csv").read_text().splitlines()[1:]:
        name, style, _, _, aesthetic, _ = line.split(",")
        numbers[name] = score_of({"style_rgb": float(style), "aesthetic": float(aesthetic)})
    order = sorted(numbers, key=numbers.__getitem__, reverse=True)
    lines = best.stdout.splitlines()
    assert [Path(line.split(" (score")[0].split(". ", 1)[1]).stem for line in lines[:2]] == order[:2]
    assert f"{numbers[order[0]]:.4f}" in lines[0]
    sheet = Image.open(data / "picks.jpg")
    assert sheet.width > 3 * 384 and 2 * 288 < sheet.height < 3 * 288


def test_a_picture_that_has_gone_is_named(data: Path) -> None:
    (data / "results/m002.jpg").unlink()
    job = launch(data, "pick")
    assert job.returncode == 2 and "m002" in job.stderr


def test_score_of_a_picture_by_hand() -> None:
    assert score_of({"style_rgb": 0.5, "mask_accuracy": 0.8, "aesthetic": 0.6}) == pytest.approx(
        0.8 * (0.2 * 0.6 + 0.3 * 0.75 + 0.5)
    )
    assert score_of({"style_rgb": None}) == pytest.approx(0.3 * 0.5 + 0.5)


def candidate(score: float, classes: list[float], colours: list[float]) -> Candidate:
    return Candidate(None, Path(), score, (np.array(classes), np.array(colours)))  # type: ignore[arg-type]


def test_variety_by_hand() -> None:
    """Two that are the same and best, one unlike them and worst, one half alike in between."""
    first, twin = candidate(1.0, [1, 0], [1, 0]), candidate(0.9, [1, 0], [1, 0])
    unlike, half = candidate(0.0, [0, 1], [0, 1]), candidate(0.6, [1, 0], [0, 1])
    assert likeness(first, twin) == 1 and likeness(first, unlike) == 0 and likeness(first, half) == 0.5
    every = [unlike, half, twin, first]
    assert choose(every, 3, variety=0.0) == [first, twin, half]
    # After the first: twin 0.9 / 2 - 1 / 2, unlike 0, half 0.6 / 2 - 0.5 / 2.
    assert choose(every, 4, variety=0.5) == [first, half, twin, unlike]
    assert choose(every, 2, variety=0.9) == [first, unlike]
    assert choose([first, first], 2, variety=0.5) == [first, first]


def test_masks_that_are_broken_are_shown_as_missing(data: Path) -> None:
    (data / "data/test/val_B_labels_resized/m001.png").write_bytes(b"no mask")
    Image.fromarray(draw_mask(0) * 0 + 99).save(data / "data/test/val_B_labels_resized/m002.png")
    Image.fromarray(draw_photo(3)).save(data / "results/m003.png")  # beside the one that counts
    job = launch(data, "gallery")
    assert job.returncode == 1 and "m001.png" in job.stderr and "class 99" in job.stderr
    page = shown(data / "results.html")
    assert page["rows"][1]["pictures"][0] == page["rows"][2]["pictures"][0] == ""
