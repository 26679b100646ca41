"""Noise that G adds to its maps: a picture's own, nothing where its strength is nothing, and learned."""

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
from ecgan.data.edges import edge_map
from ecgan.errors import UserError
from ecgan.training.recipe import LossWeights, Recipe
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
    assert [np.array_equal(*pair) for pair in zip(together, [alone[i] for i in (2, 0, 1, 2)], strict=True)] == [
        True
    ] * 4
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


@pytest.mark.slow
def test_its_strength_is_learned_and_a_state_has_it() -> None:
    from ecgan.training.learner import Learner
    from ecgan.training.loader import LoadedSample
    from ecgan.training.world import World

    def make() -> Any:
        learner = Learner(MODEL, Recipe(LossWeights(lambda_vgg=0.0)), World(0, 1, ["here"], None))
        learner.initialise(seed=3, gain=0.5)
        return learner

    style = np.zeros((2, MODEL.z_dim), np.float32)
    photos = [draw_photo(i) for i in range(2)]
    samples = [LoadedSample(f"s{i}", draw_mask(i), photos[i], edge_map(photos[i]), style, (3, 0, i)) for i in range(2)]
    first, resumed = make(), make()
    name = "up_2.noise_strength"
    begun = first.to_arrays()["G"]
    before = begun[name]
    first.step(samples, 1e-3)
    saved = first.to_arrays()
    assert (before == FIRST_NOISE_STRENGTH).all() and (saved["G"][name] != before).all()
    assert (begun["noise_strength"] == FIRST_NOISE_STRENGTH).all()
    seen = np.unique([each.labels for each in samples])  # of other classes nothing is learned
    assert (saved["G"]["noise_strength"] != FIRST_NOISE_STRENGTH).any(axis=0).nonzero()[0].tolist() == seen.tolist()
    assert {key: array.shape for key, array in saved["G"].items()} == tensors.of_file("G", MODEL)
    resumed.load(lambda network: saved[network], first.counters, "it")
    assert first.step(samples, 1e-3) == resumed.step(samples, 1e-3)
    ours, theirs = first.to_arrays()["G"], resumed.to_arrays()["G"]
    assert [each for each in ours if not np.array_equal(ours[each], theirs[each])] == []


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
