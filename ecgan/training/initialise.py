"""First values of the weights: a function of seed, network and tensor name, the same on every rank and machine."""

from __future__ import annotations

import math

import numpy as np

from ecgan.networks import load_arrays
from ecgan.noise import generator_for
from ecgan.runtime import nn
from ecgan.training.recipe import InitType


def initialise(network: nn.Module, name: str, seed: int, init_type: InitType = "xavier", gain: float = 0.02) -> None:
    """Weights by `init_type` and `gain` (for "normal" the standard deviation), biases 0, running statistics 0 and 1;
    strengths of noise stay what they are.

    `name` tells networks apart: "G", "E", "D" and others.
    """
    values = {key: var.numpy() for key, var in network.state_dict().items()}
    for key, value in values.items():
        if key.endswith((".weight_u", ".weight_v")):
            vector = generator_for(seed, "init", name, key).standard_normal(value.shape)
            values[key] = (vector / np.linalg.norm(vector)).astype(np.float32)
        elif value.ndim > 1 and not key.endswith("noise_strength"):
            values[key] = _draw(generator_for(seed, "init", name, key), value.shape, init_type, gain)
        elif key.endswith(".bias"):
            values[key] = np.zeros_like(value)
    load_arrays(network, values, f"network {name}")


def _draw(random: np.random.Generator, shape: tuple[int, ...], init_type: InitType, gain: float) -> np.ndarray:
    """`shape`: (out, in[, height, width])."""
    positions = math.prod(shape[2:])
    fan_out, fan_in = shape[0] * positions, shape[1] * positions
    if init_type == "orthogonal":
        return _orthogonal(random, shape) * np.float32(gain)
    deviation = {
        "xavier": gain * math.sqrt(2 / (fan_in + fan_out)),
        "kaiming": math.sqrt(2 / fan_in),
        "normal": gain,
    }[init_type]
    return random.standard_normal(shape, dtype=np.float32) * np.float32(deviation)


def _orthogonal(random: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(random.standard_normal((max(rows, columns), min(rows, columns))))
    q *= np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape).astype(np.float32)
