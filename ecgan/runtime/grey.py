"""Paints, trains and scores grey pictures, so that Jittor compiles the operators for it: the child's part of `warming`.

python -m ecgan.runtime.grey WORK DEVICE JSON
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ecgan import logs
from ecgan.checkpoint import tensors
from ecgan.checkpoint.segmenter import open_segmenter
from ecgan.config import ModelConfig, Spade
from ecgan.runtime.devices import device_choice
from ecgan.runtime.precision import Precision
from ecgan.runtime.starting import start
from ecgan.training.loader import LoadedSample
from ecgan.training.recipe import Recipe


def _paint_grey(model: ModelConfig, batch: int, spade: Spade, precision: Precision) -> None:
    from ecgan.networks import Encoder
    from ecgan.networks.noise_maps import NoiseMaps
    from ecgan.networks.painting import painting_network
    from ecgan.runtime import jt

    encoder = Encoder(model)
    encoder.eval()
    weights = {name: np.full(shape, 0.01, np.float32) for name, shape in (tensors.of_file("G", model) or {}).items()}
    generator, mask = painting_network(model, weights, spade, precision=precision)
    with jt.no_grad():
        mu, logvar = encoder(jt.array(np.zeros((1, 3, model.height, model.width), np.float32)))
        codes = jt.array(np.repeat(mu.numpy() + logvar.numpy(), batch, axis=0))
        for labels in _masks(model):
            noise_maps = NoiseMaps.of([0] * batch, ["grey"] * batch)
            generator(codes, mask(np.stack([labels] * batch)), noise_maps).image2.numpy()


def _train_on_grey(trainee: str, model: ModelConfig, recipe: Recipe, batch: int, paints: bool) -> None:
    from ecgan.training.world import World

    learner = importlib.import_module(trainee).untrained(model, recipe, World(0, 1, ["here"], None))
    learner.initialise(seed=0)
    samples = [_grey_sample(model, labels) for labels in _masks(model)]
    for sample in (samples[0], *samples):  # the first is different: average and moments are constants there
        learner.step([sample] * batch, rate=1e-4)
    if paints:
        learner.paint(samples)


def _score_grey(inception: str | None, segmenter: str | None, size: list[int] | None) -> None:
    from ecgan.scoring.evaluator import Evaluator

    network = open_segmenter(Path(segmenter)) if segmenter else None
    width, height = size or (512, 384)
    grey = np.full((height, width, 3), 128, np.uint8)
    Evaluator.load(Path(inception) if inception else None, network, (width, height)).measure(grey, grey[..., 0])


def _grey_sample(model: ModelConfig, labels: np.ndarray) -> LoadedSample:
    grey = np.full((model.height, model.width, 3), 128, np.uint8)
    black = np.zeros((model.height, model.width), np.uint8)
    return LoadedSample("grey", labels, grey, black, np.zeros((2, model.z_dim), np.float32))


def _masks(model: ModelConfig) -> list[np.ndarray]:
    """One of a single class and one of noise: SPADE is computed in another way for each (`exact_sparse`)."""
    shape = (model.height, model.width)
    return [np.zeros(shape, np.uint8), np.random.default_rng(0).integers(0, model.semantic_nc, shape, np.uint8)]


#: What can be asked for, by the names that `warming` has for it.
WORK: dict[str, Callable[..., None]] = {
    "painting": _paint_grey,
    "training": _train_on_grey,
    "scoring": _score_grey,
}
#: Of what is given to it, what JSON has no type for.
_TYPES: dict[str, Callable[[dict[str, Any]], Any]] = {"model": ModelConfig.from_dict, "recipe": Recipe.from_dict}


if __name__ == "__main__":
    what, device, asked = sys.argv[1], device_choice(sys.argv[2]), json.loads(sys.argv[3])
    logs.show()
    start(device, parallel_compiler=True)
    WORK[what](**{name: _TYPES[name](value) if name in _TYPES else value for name, value in asked.items()})
