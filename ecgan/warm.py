"""Compiles the operators that painting or training with a model needs, in a process of its own.

Jittor compiles an operator when it first runs. The functions here paint grey pictures, or train on
them, with a model of the same shape in a child process that may compile on all cores; every later
process finds the result in the cache.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from ecgan import runtime
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.checkpoint.vgg import shapes
from ecgan.config import ModelConfig, Spade
from ecgan.data.images import Size
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import LossWeights, Recipe


def warm_painting(model: ModelConfig, device: str, batch: int = 1, spade: Spade = "exact-sparse") -> None:
    """Compiles what painting `batch` pictures at a time needs, unless it is compiled; one process does, others wait.

    Raises UserError naming the log if it fails.
    """
    _warm("painting", {"model": model.to_dict(), "batch": batch, "spade": spade}, device)


def warm_training(model: ModelConfig, recipe: Recipe, batch: int, device: str) -> None:
    """The same for training steps on `batch` samples at a time in one process.

    The few operators that only several ranks need are left to their first step.
    """
    # Operators depend on what is computed, not on its numbers, and on whether there is one sample or more.
    weights = recipe.weights
    switches = {name: float(bool(value)) for name, value in vars(weights).items() if name != "gan_mode"}
    plain = Recipe(
        LossWeights(weights.gan_mode, **switches),
        ema_decay=0.9 if recipe.ema_decay else 0.0,
        spade=recipe.spade,
        reuse_fakes=recipe.reuse_fakes,
    )
    asked = {"model": model.to_dict(), "recipe": dataclasses.asdict(plain), "batch": min(batch, 2)}
    _warm("training", asked, device)


def warm_segmenter(model: ModelConfig, recipe: Recipe, batch: int, device: str) -> None:
    """The same for training the segmentation network."""
    asked = {"model": model.to_dict(), "recipe": dataclasses.asdict(Recipe(adam=recipe.adam)), "batch": min(batch, 2)}
    _warm("segmentation", asked, device)


def warm_scoring(inception: str | None, segmenter: str | None, size: Size | None, device: str) -> None:
    """The same for measuring pictures with the networks in these files, `size` being what the segmenter sees."""
    _warm("scoring", {"inception": inception, "segmenter": segmenter, "size": size}, device)


def _warm(what: str, asked: dict[str, Any], device: str) -> None:
    key = json.dumps(asked, sort_keys=True)
    log = runtime.cache_dir() / "logs" / f"{what}-{device}.log"
    command = [sys.executable, "-m", "ecgan.warm", what, device, key]
    title = f"compiling the operators for {what} (a minute or two, once)"
    runtime.once(f"{what} {key}", device, lambda: runtime.run_compiling(command, title, log))


def _paint_grey(model: ModelConfig, batch: int, spade: Spade) -> None:
    from ecgan.networks import Encoder, Generator, Segmap
    from ecgan.runtime import jt

    encoder, generator = Encoder(model), Generator(model)
    encoder.eval()
    generator.eval()
    with jt.no_grad():
        mu, logvar = encoder(jt.array(np.zeros((1, 3, model.height, model.width), np.float32)))
        codes = jt.array(np.repeat(mu.numpy() + logvar.numpy(), batch, axis=0))
        for labels in _masks(model):
            generator(
                codes, Segmap(np.stack([labels] * batch), model.semantic_nc, spade == "exact-sparse")
            ).image2.numpy()


def _train_on_grey(model: ModelConfig, recipe: Recipe, batch: int) -> None:
    from ecgan.training.learner import Learner
    from ecgan.training.world import World

    samples = [_grey_sample(model, labels) for labels in _masks(model)]
    vgg = {name: np.zeros(shape, np.float32) for name, shape in shapes().items()} if recipe.weights.lambda_vgg else None
    learner = Learner(model, recipe, World(0, 1, ["here"], None), vgg)
    learner.initialise(seed=0)
    for sample in (samples[0], *samples):  # the first is different: average and moments are constants there
        learner.step([sample] * batch, rate=1e-4)


def _segment_grey(model: ModelConfig, recipe: Recipe, batch: int) -> None:
    from ecgan.training.segmenter import SegmenterLearner
    from ecgan.training.world import World

    learner = SegmenterLearner(model, recipe, World(0, 1, ["here"], None))
    learner.initialise(seed=0)
    samples = [_grey_sample(model, labels) for labels in _masks(model)]
    for sample in (samples[0], *samples):
        learner.step([sample] * batch, rate=1e-4)
    learner.paint(samples[:1])


def _score_grey(inception: str | None, segmenter: str | None, size: list[int] | None) -> None:
    from ecgan.scoring.evaluator import Evaluator

    network = open_segmenter(Path(segmenter)) if segmenter else None
    width, height = size or (512, 384)
    grey = np.full((height, width, 3), 128, np.uint8)
    Evaluator.load(Path(inception) if inception else None, network, (width, height)).measure(grey, grey[..., 0], grey)


def _grey_sample(model: ModelConfig, labels: np.ndarray) -> LoadedSample:
    grey = np.full((model.height, model.width, 3), 128, np.uint8)
    black = np.zeros((model.height, model.width), np.uint8)
    return LoadedSample("grey", labels, grey, black, np.zeros((2, model.z_dim), np.float32))


def _masks(model: ModelConfig) -> list[np.ndarray]:
    """One of a single class and one of noise: SPADE is computed in another way for each (`exact_sparse`)."""
    shape = (model.height, model.width)
    return [np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, model.semantic_nc, shape, np.uint8)]


if __name__ == "__main__":
    what, device, asked = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
    runtime.start(device, parallel_compiler=True)  # type: ignore[arg-type]
    if what == "scoring":
        _score_grey(**asked)
        sys.exit()
    model = ModelConfig.from_dict(asked["model"])
    if what == "painting":
        _paint_grey(model, asked["batch"], asked["spade"])
    else:
        train = _segment_grey if what == "segmentation" else _train_on_grey
        train(model, Recipe.from_dict(asked["recipe"]), asked["batch"])
