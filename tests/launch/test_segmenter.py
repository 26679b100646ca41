"""Training the segmentation network with the training command, and measuring ECGAN by it while it trains."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT, TrainFolder, draw_mask, wait_until
from drawn import inception_weights, segformer_weights
from PIL import Image
from safetensors.numpy import save_file

from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.palette import COLOURS
from ecgan.scoring.total import total
from jobs.train.plan import TrainPlan

pytestmark = pytest.mark.process

#: Of 64x32 photos.
SIZE, STEPS = (64, 32), 30


class SegmenterFolder(TrainFolder):
    """Photos that show their masks' classes as plain colours, and the command that learns to find them."""

    def __init__(self, path: Path, pairs: int) -> None:
        super().__init__(path, pairs)
        for index in range(pairs):
            mask = draw_mask(index, SIZE, classes=3)
            noise = np.random.default_rng(index).integers(-9, 10, (*mask.shape, 3))
            photo = np.clip(np.asarray(COLOURS)[mask].astype(int) + noise, 0, 255).astype(np.uint8)
            Image.fromarray(mask).save(self.data / f"labels/p{index}.png")
            Image.fromarray(photo).save(self.data / f"imgs/p{index}.jpg", quality=95)

    def command(self, *options: object, run: str = "run") -> list[str]:
        how = ["--config", ROOT / "configs/segmenter.yaml", "--size", "64x32", "--held_out", 4, "--batch_size", 4]
        much = ["--lr", 3e-3, "--max_steps", STEPS, "--print_every_steps", 1, "--display_every_steps", 0]
        where = ["--input_path", self.data, "--run_dir", self.path / run, "--device", "cpu"]
        return [sys.executable, str(ROOT / "launch/train.py"), *map(str, [*how, *much, *where, *options])]

    def about(self, run: str = "run") -> dict[str, Any]:
        state = self.path / run / "states" / self.states(run)[-1]
        return dict(json.loads((state / "checkpoint.json").read_text())["about"]["training"])


def planned(data: TrainFolder) -> TrainPlan:
    return TrainPlan.load(data.path / "run/plan.json")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> SegmenterFolder:
    data = SegmenterFolder(tmp_path_factory.mktemp("segmenter"), 16)
    job = data.train("--display_every_steps", STEPS)
    assert job.returncode == 0, job.stderr
    assert "launch/score.py --segmenter" in job.stdout and len(planned(data).held_out) == 4
    return data


def test_it_learns_and_says_how_well(trained: SegmenterFolder) -> None:
    lines = trained.metrics()
    assert lines[-1]["step"] == STEPS and lines[-1]["cross_entropy"] < 0.5 * lines[0]["cross_entropy"]
    measured = trained.about()["measured"]
    assert measured["pairs"] == 4 and measured["step"] == STEPS
    assert measured["mask_accuracy"] > 0.7 and measured["mean_iou"] < measured["mask_accuracy"] + 0.2
    assert lines[-1]["mask_accuracy"] == measured["mask_accuracy"]
    assert trained.about()["best"]["by"] == "4 pairs held out"
    assert Image.open(trained.path / f"run/samples/step-{STEPS:08}.jpg").width > 100
    best = trained.about()["best"]["step"]
    assert open_segmenter(trained.path / "run").path.parent.name == f"step-{best:08}"


def test_it_scores_with_its_own_accuracy_beside_it(trained: SegmenterFolder, tmp_path: Path) -> None:
    """Its own training photos as results: mask accuracy is what its labels say."""
    results, test = tmp_path / "results", tmp_path / "test"
    (test / "val_B_labels_resized").mkdir(parents=True)
    results.mkdir()
    for index in range(4):
        (test / f"val_B_labels_resized/p{index}.png").write_bytes((trained.data / f"labels/p{index}.png").read_bytes())
        (results / f"p{index}.jpg").write_bytes((trained.data / f"imgs/p{index}.jpg").read_bytes())
    (test / "label_to_img.json").write_text(json.dumps({f"p{i}.png": f"p{i}.jpg" for i in range(4)}))
    command = [sys.executable, str(ROOT / "launch/score.py"), "--results", results, "--input_path", test]
    command += ["--img_path", trained.data / "imgs", "--segmenter", trained.path / "run", "--device", "cpu"]
    job = subprocess.run([str(word) for word in command], capture_output=True, text=True, timeout=600)
    assert job.returncode == 0, job.stderr
    score = json.loads((tmp_path / "results.score/score.json").read_text())
    best = open_segmenter(trained.path / "run").measured
    assert score["mask_accuracy"]["segmenter"]["on_held_out_pairs"] == best and score["style"]["rgb"] == 1.0
    assert score["mask_accuracy"]["value"] > 0.7 and f"{best['mask_accuracy']:.4f}" in job.stdout


def test_killed_and_resumed_on_two_ranks_it_ends_the_same(trained: SegmenterFolder) -> None:
    options = ("--ranks", 2, "--max_steps", 6)
    whole = trained.train(*options, run="whole")
    assert whole.returncode == 0, whole.stderr
    one = trained.train("--max_steps", 6, run="one")
    assert one.returncode == 0, one.stderr
    for ours, theirs in zip(trained.metrics("one"), trained.metrics("whole"), strict=True):
        assert theirs["cross_entropy"] == pytest.approx(ours["cross_entropy"], rel=0.02)
    job = trained.start(*options, "--save_every_steps", 1, run="killed")
    wait_until(lambda: len(trained.states("killed")) >= 2)
    job.kill()
    job.communicate(timeout=600)
    wait_until(lambda: not trained.ranks(), 30)
    rest = trained.train(*options, "--save_every_steps", 1, run="killed")
    assert rest.returncode == 0, rest.stderr
    assert trained.digests("killed") == trained.digests("whole")
    assert trained.about("killed")["measured"] == trained.about("whole")["measured"]


@pytest.mark.parametrize(
    ("folder", "options", "facts"),
    [
        (SegmenterFolder, ("--ngf", 8), ["--ngf ", "--network segmenter"]),
        (SegmenterFolder, ("--held_out", 4), ["--held_out 4 "]),  # of four
        (TrainFolder, ("--inception_weights", "nowhere.pth"), ["--held_out"]),
        (TrainFolder, ("--inception_weights", "nowhere.pth", "--held_out", 1), ["--inception_weights", "--held_out 2"]),
        (
            TrainFolder,
            ("--inception_weights", "nowhere.pth", "--held_out", 2, "--batch_size", 1),
            ["--inception_weights nowhere.pth"],
        ),
    ],
)
def test_options_of_the_other_network_are_refused(
    tmp_path: Path, folder: type[TrainFolder], options: tuple[object, ...], facts: list[str]
) -> None:
    job = folder(tmp_path / "data", 4).in_process(*options)
    assert job.returncode == 2 and all(fact in job.stderr for fact in facts), job.stderr


def test_ecgan_is_measured_while_it_trains(tmp_path: Path) -> None:
    """Every epoch, on the same pairs, by one rank as by two; the best state is the one that scored best."""
    data = TrainFolder(tmp_path / "data", 12)
    inception, segmenter = tmp_path / "inception.safetensors", tmp_path / "segmenter.safetensors"
    save_file(inception_weights(), inception)
    save_file(segformer_weights("b0"), segmenter)
    judges = ("--held_out", 4, "--inception_weights", inception, "--segmenter", segmenter)
    shared = data.train(*judges, "--max_steps", 2, "--ranks", 2, run="two")
    assert shared.returncode == 0, shared.stderr
    job = data.train(*judges, "--max_steps", 4, "--save_every_steps", 2)
    assert job.returncode == 0, job.stderr
    assert len(planned(data).held_out) == 4 and f", {segmenter}, {inception}" in job.stdout
    lines = data.metrics()
    measured = [line for line in lines if "fid" in line]
    assert [line["step"] for line in measured] == [2, 4]  # two steps an epoch
    for name in ("fid", "style", "mask_accuracy"):  # a rank that measured its own share alone would be far off
        assert data.metrics("two")[-1][name] == pytest.approx(measured[0][name], rel=0.02, abs=0.002)
    for line in measured:
        assert line["fid"] > 0 and 0 <= line["mask_accuracy"] <= 1 and -1 <= line["style"] <= 1
    about = json.loads((data.path / "run/states" / data.states()[-1] / "checkpoint.json").read_text())["about"]
    scores = {
        line["step"]: total(line["mask_accuracy"], aesthetic=0.0, style=line["style"], fid=line["fid"])
        for line in measured
    }
    best = about["training"]["best"]
    assert "segmenter.safetensors" in best["by"]
    assert best["score"] == pytest.approx(max(scores.values()))
    assert scores[best["step"]] == max(scores.values())
    more = data.train(*judges, "--max_steps", 6, "--save_every_steps", 2)
    assert more.returncode == 0, more.stderr
    assert [line["step"] for line in data.metrics() if "fid" in line] == [2, 4, 6]


def test_ecgan_is_guided_by_it(trained: SegmenterFolder, tmp_path: Path) -> None:
    """Two ranks see what one does, and a training that was stopped goes on to the bit."""
    data = TrainFolder(tmp_path / "data", 8)
    weights = ("--lambda_guide", 2, "--lambda_guide_feat", 3, "--lambda_tone", 1, "--lambda_texture", 1)
    guide = ("--guide", trained.path / "run", *weights)
    once = data.train(*guide, "--max_steps", 2, run="once")
    assert once.returncode == 0 and str(trained.path) in once.stdout, once.stderr
    for steps, ranks in ((1, 1), (2, 1), (1, 2)):
        job = data.train(*guide, "--max_steps", steps, "--ranks", ranks, run=f"ranks-{ranks}")
        assert job.returncode == 0, job.stderr
    for name in ("G", "E", "D"):
        whole, resumed = (data.path / run / f"states/step-00000002/{name}.safetensors" for run in ("once", "ranks-1"))
        assert whole.read_bytes() == resumed.read_bytes(), name
    alone, shared = (data.metrics(f"ranks-{ranks}")[0] for ranks in (1, 2))
    for name in ("Guide", "Guide_Feat", "Tone", "Texture"):
        assert shared[name] == pytest.approx(alone[name], rel=1e-3) and alone[name] > 0
