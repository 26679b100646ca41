"""`launch/score.py` as its user has it: real processes, real kills, real networks with drawn weights."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from conftest import ROOT, ScoreFolder, draw_photo, wait_until
from drawn import inception_weights, segformer_weights
from PIL import Image
from safetensors.numpy import save_file

from ecgan.scoring.total import total
from jobs.run import record
from jobs.run.folder import RunDir
from jobs.run.record import RunRecord
from jobs.run.state import State
from jobs.run.status import read_status
from jobs.score.finish import FEW
from jobs.score.plan import ScorePlan

pytestmark = pytest.mark.process


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[int], ScoreFolder]:
    return lambda count: ScoreFolder(tmp_path / "with 'quotes'", count)


@pytest.fixture(scope="module")
def networks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("networks")
    files = {"inception_weights": place / "inception.safetensors", "segmenter": place / "segmenter.safetensors"}
    save_file(inception_weights(), files["inception_weights"])
    save_file(segformer_weights("b0"), files["segmenter"])
    return files


def told(data: ScoreFolder) -> RunRecord:
    """What the last scoring has written of itself: `before` is what it took over."""
    return record.read(RunDir(data.path / "results.score"))


def not_scored(data: ScoreFolder) -> dict[str, str]:
    """Reasons by name."""
    return {each["name"]: each["reason"] for each in data.json()["not_scored"]}


def options_of(networks: dict[str, Path], *names: str) -> list[object]:
    return [word for name in names for word in (f"--{name}", networks[name])]


def test_style_alone_needs_no_network(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(3)
    job = data.score()
    assert job.returncode == 0, job.stderr
    wanted = []
    for index, row in enumerate(data.rows()):
        pair = data.results / f"m{index:03}.jpg", data.photos / f"photo{index % 3}.jpg"
        images = [cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB) for path in pair]
        counts = [cv2.calcHist([image], [0, 1, 2], None, [16] * 3, [0, 256] * 3).ravel() for image in images]
        wanted.append(cv2.compareHist(*counts, cv2.HISTCMP_CORREL))
        assert row["name"] == f"m{index:03}" and float(row["style_rgb"]) == pytest.approx(wanted[-1], abs=1e-6)
    score = data.json()
    assert score["style"]["rgb"] == pytest.approx(np.mean(wanted)) and score["style"]["in_the_total"] == "rgb"
    assert score["total"] is None and score["unknown"] == ["mask_accuracy", "aesthetic", "fid"]
    assert not {"fid", "fsd", "mask_accuracy", "aesthetic"} & score.keys()
    assert "total_without" not in score
    command = [sys.executable, ROOT / "launch/status.py", "--json"]
    shown = subprocess.run(command, cwd=data.path, capture_output=True, text=True)
    [status] = json.loads(shown.stdout)
    assert (status["kind"], status["state"], status["done"], status["total"]) == ("scoring", "done", 3, 3)
    again = data.score()
    assert again.returncode == 0 and data.json()["style"] == score["style"]
    assert (told(data).before, told(data).total) == (3, 3)


def test_every_term_and_their_total(folder: Callable[[int], ScoreFolder], networks: dict[str, Path]) -> None:
    from ecgan.checkpoint.segmenter import open_segmenter
    from ecgan.data.images import read_photo
    from ecgan.runtime import jt
    from ecgan.scoring.frechet import Moments, distance
    from ecgan.scoring.inception import Inception
    from ecgan.segmentation import Segmenter

    data = folder(6)
    options = [*options_of(networks, "inception_weights", "segmenter"), "--aesthetic", "aesthetic.py"]
    job = data.score(*options)
    assert job.returncode == 0, job.stderr
    score = data.json()

    inception, segmenter = Inception(inception_weights()), Segmenter(open_segmenter(networks["segmenter"]))

    def gaussian(paths: list[Path]) -> Any:
        moments = Moments(2048)
        for path in paths:
            with jt.no_grad():
                moments.add(inception(jt.array(read_photo(path)[None].transpose(0, 3, 1, 2) / np.float32(255))).numpy())
        return moments.gaussian()

    pictures = sorted(data.results.glob("*.jpg"))
    fid = distance(gaussian(pictures), gaussian(sorted(data.photos.glob("*.jpg"))))
    assert score["fid"]["value"] == pytest.approx(fid, rel=1e-4) and score["fid"]["training_photos"] == 3
    masks = [np.asarray(Image.open(data.masks / f"{path.stem}.png")) for path in pictures]
    right = [
        float((segmenter(read_photo(path)).labels == mask).mean()) for path, mask in zip(pictures, masks, strict=True)
    ]
    assert score["mask_accuracy"]["value"] == pytest.approx(np.mean(right), abs=1e-6)
    assert [float(row["mask_accuracy"]) for row in data.rows()] == pytest.approx(right, abs=1e-6)
    assert score["mask_accuracy"]["by_class"].keys() == score["mask_accuracy"]["iou_by_class"].keys()
    beauty = np.mean([read_photo(path).mean() / 255 for path in pictures])
    assert score["aesthetic"]["value"] == pytest.approx(beauty)
    assert score["total"] == pytest.approx(
        total(score["mask_accuracy"]["value"], score["aesthetic"]["value"], score["style"]["rgb"], fid), rel=1e-4
    )
    about = [note for note in score["notes"] if "FID" in note]
    assert [count in note for note, count in zip(about, (" 6 ", "(6)", " 3 ", "(3)"), strict=True)] == [True] * 4
    assert all(note in job.stdout for note in about)
    assert any(line.startswith("warning: ") and str(FEW) in line for line in job.stderr.splitlines())

    sharded = data.score(*options, "--shards", 3, "--workers", 2, "--output_path", "sharded")
    assert sharded.returncode == 0, sharded.stderr
    plan = ScorePlan.load(data.path / "sharded/plan.json")
    assert plan.shards == 1 and not plan.of_kind("photos")  # one part, and the photos' statistics are known already
    same = data.json("sharded")
    assert {**same, "created": ""} == {**score, "created": ""}

    without = data.score(*options[:4])  # the aesthetic is what is missing
    assert without.returncode == 0, without.stderr
    line = data.json()["total_without"]
    assert line["term"] == "aesthetic" and line["at_zero"] + line["slope"] * beauty == pytest.approx(score["total"])
    assert f"{line['at_zero']:.4f} + {line['slope']:.4f} x aesthetic" in without.stdout  # a formula to go on with


def test_the_segmenters_own_distance_is_no_fid(folder: Callable[[int], ScoreFolder], networks: dict[str, Path]) -> None:
    data = folder(3)
    job = data.score(*options_of(networks, "segmenter"), "--aesthetic", "aesthetic.py")
    assert job.returncode == 0, job.stderr
    score = data.json()
    assert score["fsd"]["value"] > 0 and "fid" not in score and score["total"] is None
    assert score["total_without"]["term"] == "fid" and "not FID" in job.stdout
    assert score["mask_accuracy"]["segmenter"]["on_held_out_pairs"] is None


def test_killed_it_goes_on_where_it_was(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(40)
    options = ("--aesthetic", "aesthetic.py", "--aesthetic_weights", "slow.txt", "--workers", 1)
    job = data.start(*options)
    wait_until(lambda: data.parts())
    job.kill()
    job.communicate(timeout=600)
    wait_until(lambda: not data.workers(), 20)
    kept = 16 * len(data.parts())
    assert 16 <= kept < 40 and not (data.path / "results.score/score.json").exists()
    data.calls()
    rest = data.score(*options, "--shards", 2)
    assert rest.returncode == 0 and (told(data).before, told(data).total) == (kept, 40), rest.stderr
    assert data.calls() == 40 - kept and len(data.rows()) == 40

    Image.fromarray(draw_photo(99)).save(data.results / "m020.jpg")  # its part alone is measured anew
    data.parts()[0].write_bytes(b"damaged")
    mended = data.score(*options)
    assert mended.returncode == 0 and data.calls() in (16, 24, 32), mended.stderr
    assert len(data.rows()) == 40


@pytest.mark.parametrize("sent, status", [(signal.SIGINT, 130), (signal.SIGTERM, 75)])
def test_it_ends_when_it_is_told_to(folder: Callable[[int], ScoreFolder], sent: signal.Signals, status: int) -> None:
    data = folder(40)
    job = data.start("--aesthetic", "aesthetic.py", "--aesthetic_weights", "slow.txt", "--workers", 1)
    wait_until(lambda: (data.path / "calls.txt").exists())
    job.send_signal(sent)
    _, errors = job.communicate(timeout=600)
    wait_until(lambda: not data.workers(), 20)
    assert job.returncode == status and "Traceback" not in errors and "results.score" in errors, errors
    known = read_status(data.path / "results.score")
    assert (known.kind, known.state, known.total) == ("scoring", State.STOPPED, 40) and known.done


def test_all_faults_come_in_one_report(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(6)
    (data.results / "m001.jpg").unlink()
    Image.fromarray(draw_photo(1, (64, 48))).save(data.results / "m002.jpg")
    (data.results / "m003.jpg").write_bytes(b"no picture")
    references = json.loads(data.references.read_text())
    data.references.write_text(json.dumps(references | {"m004.png": "gone.jpg"}))
    job = data.score()
    assert job.returncode == 2 and "Traceback" not in job.stderr
    for named in ("m001", "m002.jpg: 64x48 ", "128x64", "m003.jpg: ", "gone.jpg: "):
        assert named in job.stderr
    assert "--on_bad_input skip" in job.stderr and not (data.path / "results.score").exists()
    rest = data.score("--on_bad_input", "skip")
    assert rest.returncode == 1 and [row["name"] for row in data.rows()] == ["m000", "m005"], rest.stderr
    assert not_scored(data).keys() == {"m001", "m002", "m003", "m004"}


def test_pictures_without_colours_count_as_nothing(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(2)
    Image.fromarray(np.full((64, 128, 3), 70, np.uint8)).save(data.results / "m001.jpg")
    job = data.score()
    assert job.returncode == 0, job.stderr
    first, second = data.rows()
    assert second["style_rgb"] == "" and second["note"] and not first["note"]
    score = data.json()
    assert score["style"]["undefined"] == {"rgb": 1, "hsv": 1, "hue": 1}
    assert score["style"]["rgb"] == pytest.approx(float(first["style_rgb"]) / 2, abs=1e-6)
    for name, note in zip(("rgb", "hsv", "hue"), score["notes"], strict=True):
        assert f"style ({name})" in note and note in job.stdout


@pytest.mark.parametrize("value, named", [("2.0", "2.0"), ("float('nan')", "nan"), ("{}[1]", "KeyError: 1")])
def test_a_scorer_of_the_users_that_fails_is_named(
    folder: Callable[[int], ScoreFolder], value: str, named: str
) -> None:
    data = folder(2)
    (data.path / "mine.py").write_text(
        f"def load(weights):\n    return lambda picture: {value} if picture.mean() > {LIMIT} else 0.5\n"
    )
    job = data.score("--aesthetic", "mine.py")
    assert job.returncode == 1 and "m001" in job.stderr and named in job.stderr, job.stderr
    assert not_scored(data).keys() == {"m001"} and named in not_scored(data)["m001"]
    assert "Traceback" not in job.stderr and [row["name"] for row in data.rows()] == ["m000"]


#: Between the mean levels of the first two pictures.
LIMIT = float(np.mean([draw_photo(50).mean(), draw_photo(51).mean()]))


def test_what_failed_is_tried_again(folder: Callable[[int], ScoreFolder], networks: dict[str, Path]) -> None:
    """A photo that breaks while it is measured must not stay out of the statistics for good."""
    data = folder(3)
    (data.path / "mine.py").write_text("def load(weights):\n    return lambda picture: float(open('grade').read())\n")
    broken = data.photos / "zbroken.jpg"
    broken.write_bytes(b"no picture")
    options = [*options_of(networks, "segmenter"), "--aesthetic", "mine.py"]
    first = data.score(*options)
    assert first.returncode == 2 and "'grade'" in first.stderr and told(data).state is State.FAILED, first.stderr
    assert not (data.path / "results.score/score.json").exists()
    (data.path / "grade").write_text("0.5")
    second = data.score(*options)
    assert second.returncode == 1 and "zbroken.jpg" in second.stderr, second.stderr
    assert data.json()["fsd"]["training_photos"] == 3 and not_scored(data).keys() == {"zbroken.jpg"}
    third = data.score(*options)
    assert third.returncode == 1 and (told(data).before, told(data).total) == (3, 7) and "zbroken" in third.stderr
    Image.fromarray(draw_photo(8)).save(broken)
    mended = data.score(*options)
    assert mended.returncode == 0 and data.json()["fsd"]["training_photos"] == 4, mended.stderr


def test_one_that_failed_counts_nowhere(folder: Callable[[int], ScoreFolder], networks: dict[str, Path]) -> None:
    data = folder(2)
    (data.path / "mine.py").write_text(
        f"def load(weights):\n    return lambda picture: 2.0 if picture.mean() > {LIMIT} else 0.5\n"
    )
    job = data.score(*options_of(networks, "segmenter"), "--aesthetic", "mine.py")
    assert job.returncode == 1, job.stderr
    (row,) = data.rows()
    assert data.json()["mask_accuracy"]["value"] == pytest.approx(float(row["mask_accuracy"]), abs=1e-6)


def test_statistics_that_are_damaged_are_computed_anew(
    folder: Callable[[int], ScoreFolder], networks: dict[str, Path], tmp_path: Path
) -> None:
    from ecgan.runtime.cache import cache_dir

    data = folder(3)
    options = [*options_of(networks, "segmenter"), "--output_path", "first"]
    assert data.score(*options).returncode == 0
    key = json.loads((data.path / "first/plan.json").read_text())["statistics"]
    file = cache_dir() / f"statistics/{key}.npz"
    whole = file.read_bytes()
    file.write_bytes(whole[:100])
    again = data.score(*options[:2], "--output_path", "second")
    assert again.returncode == 0 and file.read_bytes() == whole, again.stderr
    assert data.json("first")["fsd"] == data.json("second")["fsd"]


def test_masks_without_any_class_have_no_accuracy(
    folder: Callable[[int], ScoreFolder], networks: dict[str, Path]
) -> None:
    data = folder(2)
    for mask in data.masks.iterdir():
        Image.fromarray(np.full((64, 128), 255, np.uint8)).save(mask)
    job = data.score(*options_of(networks, "segmenter"), "--contain_dontcare_label")
    score = data.json()
    assert job.returncode == 0 and "mask_accuracy" not in score and "mask_accuracy" in score["unknown"], job.stderr
    [why] = [note for note in score["notes"] if "mask accuracy" in note]
    assert why in job.stdout and "nan" not in job.stdout.lower()


def test_a_broken_segmentation_network_is_refused(folder: Callable[[int], ScoreFolder], tmp_path: Path) -> None:
    data, weights = folder(2), segformer_weights("b0")
    weights["decode_head.classifier.weight"][3] = np.nan
    save_file(weights, tmp_path / "nan.safetensors")
    job = data.score("--segmenter", tmp_path / "nan.safetensors")
    assert job.returncode == 2 and "decode_head.classifier.weight" in job.stderr, job.stderr
    (data.path / "runs/segmenter/states").mkdir(parents=True)  # a training that has saved nothing yet
    job = data.score()
    assert job.returncode == 0 and "runs/segmenter" in job.stderr, job.stderr
    assert "mask_accuracy" in data.json()["unknown"]


def test_folders_of_others_are_left_alone(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(2)
    mine = data.path / "mine/shards/train.tar"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    job = data.score("--output_path", "mine")
    assert job.returncode == 2 and f"--output_path {data.path / 'mine'}" in job.stderr
    assert [path.name for path in (data.path / "mine").rglob("*")] == ["shards", "train.tar"]


@pytest.mark.parametrize(
    "option, value, others",
    [
        ("--results", "nowhere", ["launch/generate.py"]),
        ("--input_path", "nowhere", []),
        ("--segmenter", "nowhere", []),
        ("--inception_weights", "nowhere", []),
        ("--aesthetic", "nowhere.py", []),
        ("--aesthetic_weights", "x", ["--aesthetic,"]),
        ("--output_path", "results/score", []),
        ("--shards", 0, []),
    ],
)
def test_wrong_options_are_named(
    folder: Callable[[int], ScoreFolder], option: str, value: object, others: list[str]
) -> None:
    data = folder(2)
    job = data.score(option, value)
    unnamed = {"--aesthetic_weights": [option], "--input_path": [str(value)]}  # of no use at all; a fault of the input
    named = unnamed.get(option, [option, str(value)])
    assert job.returncode == 2 and all(name in job.stderr for name in (*named, *others)), job.stderr
    assert "Traceback" not in job.stderr
    assert not (data.path / "results.score").exists()


def test_a_dry_run_writes_nothing(folder: Callable[[int], ScoreFolder]) -> None:
    data = folder(2)
    before = sorted(data.path.rglob("*"))
    job = data.score("--dry-run")
    assert job.returncode == 0 and "to measure    2 of 2, in 1 shard(s)" in job.stdout
    assert sorted(data.path.rglob("*")) == before
