"""A checkpoint of random weights, the same on every machine: for trying things and for tests, not for pictures.

python -m ecgan.random_model FOLDER WIDTHxHEIGHT NGF SEED
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from ecgan.checkpoint import native
from ecgan.config import ModelConfig
from ecgan.networks import Discriminator, Encoder, Generator
from ecgan.noise import generator_for
from ecgan.runtime import nn


def random_arrays(network: nn.Module, seed: int) -> dict[str, np.ndarray]:
    """Values for every tensor of `network` that keep its activations near 1, a function of name, shape and seed."""
    return {name: _random(name, tuple(var.shape), seed) for name, var in network.state_dict().items()}


def save_random(folder: Path, model: ModelConfig, seed: int = 0) -> None:
    """Writes a checkpoint of ours with random E, G and D. Raises UserError if `folder` is not empty."""
    networks = {"G": Generator(model), "E": Encoder(model), "D": Discriminator(model)}
    arrays = {name: random_arrays(network, seed) for name, network in networks.items()}
    native.save(folder, arrays, model, about={"source": f"random weights, seed {seed}"})


def _random(name: str, shape: tuple[int, ...], seed: int) -> np.ndarray:
    generator = generator_for(seed, name)
    if name.endswith("running_var"):
        return generator.uniform(0.7, 1.5, shape).astype(np.float32)
    values = generator.standard_normal(shape)
    if len(shape) == 1:  # biases, running means
        return (0.1 * values).astype(np.float32)
    return (_gain(name) * values / np.sqrt(np.prod(shape[1:]))).astype(np.float32)


def _gain(name: str) -> float:
    """What makes masks visible in the pictures and keeps those within range."""
    if "mlp_shared" in name:
        return 5.0  # of its many inputs, one-hot planes, all but a few are zero
    return {"fc.weight": 0.2, "conv_comb.weight": 0.3}.get(name, 1.0)


if __name__ == "__main__":
    width, height = map(int, sys.argv[2].split("x"))
    save_random(Path(sys.argv[1]), ModelConfig(width, height, ngf=int(sys.argv[3]), ndf=8), int(sys.argv[4]))
