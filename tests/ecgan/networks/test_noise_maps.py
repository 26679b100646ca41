"""Noise that G adds to its maps: a picture's own, silent where its strength is 0, alike in training and painting."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from conftest import draw_mask, draw_photo

from ecgan.checkpoint import native, open_checkpoint, tensors
from ecgan.config import FIRST_NOISE_STRENGTH, ModelConfig
from ecgan.errors import UserError
from jobs.train.settings import TrainSettings

MODEL = ModelConfig(128, 64, ngf=4, ndf=4, num_upsampling_layers="normal", noise_maps=True)
OPTIONS: dict[str, Any] = {"size": "128x64", "ngf": 4, "ndf": 4, "num_upsampling_layers": "normal", "lambda_vgg": 0.0}


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from ecgan.random_model import save_random

    folder = tmp_path_factory.mktemp("noisy") / "checkpoint"
    save_random(folder, MODEL, seed=1)
    return folder


def generate(checkpoint: Path, names: list[str], seeds: list[int], noise: float = 0.0) -> np.ndarray:
    """Of one mask and one reference."""
    from ecgan.synthesis import Synthesiser

    masks, photos = (np.stack([draw(3, (128, 64))] * len(names)) for draw in (draw_mask, draw_photo))
    return Synthesiser(open_checkpoint(checkpoint)).generate(masks, photos, names, seeds, noise)


def test_seed_and_name_decide(noisy: Path) -> None:
    alone = [generate(noisy, [name], [seed])[0] for name, seed in (("a", 0), ("b", 0), ("a", 1))]
    together = generate(noisy, ["a", "a", "b", "a"], [1, 0, 0, 1])
    for picture, i in zip(together, (2, 0, 1, 2), strict=True):
        assert np.array_equal(picture, alone[i])
    for other in alone[1:]:
        assert np.abs(alone[0] - other).mean() > 1e-3


def test_silent_noise_maps_change_nothing(noisy: Path, tmp_path: Path) -> None:
    checkpoint = open_checkpoint(noisy)
    arrays = {name: checkpoint.arrays(name) for name in ("G", "E")}
    without = {name: array for name, array in arrays["G"].items() if not name.endswith("noise_strength")}
    silent = arrays["G"] | {name: np.zeros_like(arrays["G"][name]) for name in arrays["G"].keys() - without.keys()}
    assert len(silent) == len(without) + 5
    native.save(tmp_path / "silent", arrays | {"G": silent}, MODEL, about={})
    native.save(tmp_path / "without", arrays | {"G": without}, dataclasses.replace(MODEL, noise_maps=False), about={})
    painted = [generate(path, ["a"], [0]) for path in (tmp_path / "silent", tmp_path / "without", noisy)]
    assert np.array_equal(painted[0], painted[1]) and not np.array_equal(painted[0], painted[2])


@pytest.mark.parametrize("form", [False, True], ids=["dense", "looked up"])
def test_there_is_as_much_noise_in_painting_as_in_training(form: bool) -> None:
    from ecgan.networks import Segmap
    from ecgan.networks.noise_maps import NoiseMaps
    from ecgan.networks.spade import SPADEBlock
    from ecgan.random_model import random_arrays
    from ecgan.runtime import jt

    block, labels = SPADEBlock(6, 4, 29, noisy=True), draw_mask(3, (128, 64))[None]
    for name, values in random_arrays(block, 2).items():
        block.state_dict()[name].assign(jt.array(values))
    for norm in (block.norm_0, block.norm_1, block.norm_s):
        norm.param_free_norm.momentum = 1.0  # so that painting has the statistics of the batch
    x = jt.array(3 * np.random.default_rng(1).standard_normal((1, 6, 64, 128)).astype(np.float32))
    found = []
    for mode in (block.train, block.eval):
        mode()
        found.append(block(x, Segmap(labels, 29, form), NoiseMaps.of([0], ["a"])).numpy())
    assert np.abs(found[0] - found[1]).max() < 1e-4 * np.abs(found[0]).max()


def test_a_model_may_get_them_and_not_lose_them(noisy: Path, tiny_checkpoint: Path) -> None:
    def first_arrays(checkpoint: Path, **options: Any) -> Any:
        settings = TrainSettings(**OPTIONS | options, init_checkpoint=str(checkpoint))
        plan: Any = SimpleNamespace(settings=settings, files=settings.trainable.find_files(settings))
        return settings.trainable.first_arrays(plan)

    taken = first_arrays(tiny_checkpoint, noise_maps=True)["G"]
    assert {name: array.shape for name, array in taken.items()} == tensors.of_file("G", MODEL)
    assert (taken["up_0.noise_strength"] == FIRST_NOISE_STRENGTH).all() and taken["up_0.conv_0.weight_orig"].any()
    again = first_arrays(noisy, noise_maps=True)["G"]["up_0.noise_strength"]
    assert np.array_equal(again, open_checkpoint(noisy).arrays("G")["up_0.noise_strength"])
    with pytest.raises(UserError, match=r"noise_maps True \(here False\)"):
        first_arrays(noisy)
