"""What the benchmarks count; their timings are no test."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import rivals
from beside import RATIOS, beside, difference
from conftest import ROOT, draw_mask, wait_until
from drawn import segformer_weights
from measure import codes
from one_recipe import Judged
from recipes import Recipe, at_steps, in_second_half, read_judged, read_recipes, table
from safetensors.numpy import save_file

from ecgan.config import ModelConfig
from ecgan.errors import UserError
from jobs.train.settings import TrainSettings

TINY = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal")


@pytest.mark.slow
def test_every_layer_is_counted_once() -> None:
    from arithmetic import layers

    from ecgan.networks import Generator, Segmap
    from ecgan.networks.layers import SpectralConv
    from ecgan.networks.spade import SPADE
    from ecgan.runtime import nn

    generator = Generator(TINY)
    generator.eval()
    mask = draw_mask(1, (128, 64))[None]
    counted = layers(generator, Segmap(mask, TINY.semantic_nc, True))
    there = [
        name
        for name, module in generator.named_modules()
        if isinstance(module, (SPADE, SpectralConv, nn.Conv)) and ".mlp_" not in name
    ]
    assert sorted(layer.name for layer in counted) == sorted(there)
    by_name = {layer.name: layer for layer in counted}
    pixels = 128 * 64
    assert by_name["conv_comb"].dense == by_name["conv_comb"].sparse == pixels * 9 * (4 + 6 + 29) * 3
    assert by_name["up_3.conv_0"].dense == pixels * 9 * 8 * 4
    assert by_name["up_3.norm_1"].dense == pixels * 9 * (29 * 128 + 128 * 2 * 4)
    assert by_name["up_3.norm_1"].sparse < by_name["up_3.norm_1"].dense / 2
    noise = np.random.default_rng(0).integers(0, 29, (1, 64, 128), np.uint8)
    assert all(layer.dense == layer.sparse for layer in layers(generator, Segmap(noise, TINY.semantic_nc, True)))


@pytest.mark.process
def test_benchmark_of_the_gpu_runs_up_to_the_gpu(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/gpu.py"), "--device", "cpu", "--quick", "--out", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    figures = json.loads((tmp_path / "figures.json").read_text())
    assert not any("failed" in each for each in figures.values())
    apart = figures["agreement, fp32, exact-sparse, 1"]
    assert {"E mu", "G image2 dense", "G image2 exact-sparse", "D1 logits", "step exact-sparse GAN_Feat"} <= set(apart)
    assert max(apart.values()) == 0
    assert figures["training, fp32, exact-sparse, 1"]["steps_per_s"] > 0
    table = (tmp_path / "table.txt").read_text()
    assert "greatest difference from the CPU" in table and done.stdout.endswith(table)


@pytest.mark.process
def test_part_of_the_gpus_benchmark_that_fails_is_told(tmp_path: Path) -> None:
    command = [sys.executable, str(ROOT / "bench/gpu.py"), "--quick", "--out", str(tmp_path), "--parts", "limits"]
    environment = {"PATH": "/usr/bin:/bin", "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 1
    assert "failed: limits, fp32" in done.stdout and "no GPU answers" in done.stdout


@pytest.mark.parametrize("form", rivals.FORMS)
def test_rival_paints_the_same(form: str) -> None:
    if lacking := rivals.missing(form):
        pytest.skip(f"not installed: {' and '.join(lacking)}")
    from generator import make_generator, painter, paintings

    from ecgan.networks import load_arrays
    from ecgan.random_model import random_arrays

    generator = make_generator(TINY)
    arrays = random_arrays(generator, 1)
    load_arrays(generator, arrays, "G")
    paint = rivals.painter(form, TINY, arrays, threads=1)
    for number in (0, 1):
        labels = draw_mask(number, (128, 64))[None]
        ours = painter(paintings(generator, ["exact-sparse"])["exact-sparse"], TINY.z_dim, labels)()
        picture = paint(codes(1, TINY.z_dim), labels)
        assert picture.shape == ours.shape and picture.dtype == ours.dtype
        assert difference(form, picture, ours) < ours.std() / 20


def test_picture_of_another_mask_is_no_rounding() -> None:
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 1, 3, 64, 128)).astype(np.float32)
    assert difference("dense", pictures[0], pictures[0]) == 0
    for form in ("OpenVINO float32", "PyTorch bfloat16"):
        with pytest.raises(ArithmeticError, match=f"{form} paints another picture"):
            difference(form, *pictures)


@pytest.mark.process
def test_ours_are_measured_without_rivals(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(rivals, "missing", lambda form: ["an engine"])
    figures = beside(TINY, None, ("dense", "exact-sparse"), repeats=1)
    assert {key: figures[key] for key in RATIOS} == dict.fromkeys(RATIOS)
    for clock in ("wall_on_all_cores", "process_time_on_one"):
        assert all(figures["beside"][clock][form].least > 0 for form in ("dense", "exact-sparse"))
    assert "OpenVINO bfloat16 is left out: an engine not installed" in capsys.readouterr().out


@pytest.mark.process
def test_benchmark_of_growth_goes_through_a_runs_life(tmp_path: Path) -> None:
    """Each step in a process of its own, which takes some seconds: it knows what shards leave, and might come to
    differ."""
    command = [
        sys.executable,
        str(ROOT / "bench/growth.py"),
        "--counts",
        "12",
        "--json",
        str(tmp_path / "figures.json"),
    ]
    done = subprocess.run([*command, "--scratch", str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    steps = json.loads((tmp_path / "figures.json").read_text())["12"]
    assert list(steps) == ["check", "shard", "rerun, not merged", "merge", "rerun, first", "rerun", "status"]
    assert all(step["peak_bytes"] > 0 and step["s"] > 0 for step in steps.values())


TINY_RECIPES = """
base: {size: 64x64, num_upsampling_layers: normal, ngf: 4, ndf: 4, z_dim: 8, lambda_vgg: 0.0, batch_size: 2, lr: 0.01}
recipes:
  plain: {}
  guided: {guide: GUIDE, lambda_guide: 1.0, ema_decay: 0.9}
"""


@pytest.mark.process
def test_recipes_are_judged_the_same_after_a_kill(tmp_path: Path) -> None:
    """At the same step, to the bit; processor time differs from one run to the next."""
    network, recipes = tmp_path / "network.safetensors", tmp_path / "recipes.yaml"
    save_file(segformer_weights("b0"), network)
    recipes.write_text(TINY_RECIPES)

    def command(folder: str) -> list[str]:
        how = ["--recipes", recipes, "--only", "guided", "--minutes", 0.01, "--steps", 6, "--pairs", 6, "--held_out", 4]
        where = ["--judge", network, "--guide", network, "--folder", tmp_path / folder]
        return [sys.executable, str(ROOT / "bench/recipes.py"), *map(str, [*how, *where])]

    def judged(folder: str) -> Judged:
        found = at_steps(read_judged(tmp_path / folder / "64x64/runs/guided-0"), 6)
        assert found is not None
        return dataclasses.replace(found, seconds=0.0)

    killed = subprocess.Popen(command("killed"), start_new_session=True, stdout=subprocess.DEVNULL)
    states = tmp_path / "killed/64x64/runs/guided-0/states"
    wait_until(lambda: any(states.glob("step-*")) or killed.poll() is not None, 600)  # it may have to compile
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    for folder in ("killed", "whole"):
        done = subprocess.run(command(folder), capture_output=True, text=True, timeout=600)
        assert done.returncode == 0 and "| guided | 1 |" in done.stdout, done.stdout + done.stderr
        assert re.search(r"the photos themselves \|  \|  \| 0\.\d{3} \|", done.stdout), done.stdout
        made = tmp_path / folder / "64x64"
        assert (made / "sheet.jpg").is_file() and "<polyline" in (made / "fsd.svg").read_text()
        assert {path.name for path in (made / "data").iterdir()} == {"train", "held_out"}  # both networks are given
    assert judged("killed") == judged("whole")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("base: {lambda_vgg: 0}\nrecipes: {a: {ngff: 4}}", "recipe 'a'"),
        ("recipes: {a: {}}", "base and recipes"),
        (TINY_RECIPES.replace("lr: 0.01", "lr: -1"), "--lr"),
    ],
)
def test_wrong_recipes_are_told(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "recipes.yaml").write_text(content)
    with pytest.raises(UserError, match=words):
        read_recipes(tmp_path / "recipes.yaml")


def test_the_recipes_of_the_benchmark_can_be_used() -> None:
    larger = read_recipes(ROOT / "bench/recipes.yaml", ["original"], "256x192")
    assert TrainSettings(**larger[0].options).picture_size == (256, 192)
    names = [recipe.name for recipe in read_recipes(ROOT / "bench/recipes.yaml")]
    assert names[0] == "original" and len(set(names)) == len(names)
    assert not any("," in name for name in names)  # --only could not name it


def test_a_table_has_means_over_seeds_and_how_far_they_lie_apart() -> None:
    one = Judged(10, 60.0, 0.5, 0.2, 0.1, 0.2, 3.0)
    found = {("a", 0): one, ("a", 1): dataclasses.replace(one, mask_accuracy=0.7), ("b", 0): None}
    rows = table([Recipe("a", {}), Recipe("b", {})], found).splitlines()
    assert "| a | 2 | 10 | 0.600 ± 0.141 | 0.200 ± 0.000 |" in rows[2] and rows[3].startswith("| b | 0 |")


def test_the_second_half_of_a_trainings_time_is_averaged() -> None:
    judged = [Judged(step, 10.0 * step, step / 100, 0.2, 0.1, 0.2, 3.0 * step) for step in (1, 3, 4, 5, 7)]
    mean = in_second_half(judged, 45.0)
    assert mean is not None and (mean.step, mean.fsd) == (5, 12.0) and mean.mask_accuracy == pytest.approx(0.04)
    assert in_second_half(judged, 80.0) is None
