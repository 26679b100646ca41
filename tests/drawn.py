"""Networks' weights drawn by NumPy from seeds, the same as when what they compute was recorded with other libraries.

tests/fixtures/inception.json and segformer.json hold the tensors' shapes and the outputs.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

import numpy as np
from conftest import ROOT

INCEPTION: dict[str, Any] = json.loads((ROOT / "tests/fixtures/inception.json").read_text())
SEGFORMER: dict[str, Any] = json.loads((ROOT / "tests/fixtures/segformer.json").read_text())


def inception_weights() -> dict[str, np.ndarray]:
    """By pytorch-fid's names."""
    return {name: _of_inception(name, tuple(shape)) for name, shape in INCEPTION["shapes"].items()}


def segformer_weights(size: str) -> dict[str, np.ndarray]:
    """`size`: "b0" or "b1". By transformers' names."""
    return {name: _of_segformer(name, tuple(shape)) for name, shape in SEGFORMER[size]["shapes"].items()}


def _of_inception(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = _normal(name, shape)
    if name.endswith("running_var"):
        values = 0.5 + np.abs(values)
    elif name.endswith("bn.weight"):
        values = 1 + 0.2 * values
    elif name.endswith(("bn.bias", "running_mean")):
        values = 0.2 * values
    else:
        values = values * np.sqrt(2 / np.prod(shape[1:])) if len(shape) > 1 else 0.1 * values
    return values.astype(np.float32)


def _of_segformer(name: str, shape: tuple[int, ...]) -> np.ndarray:
    values = _normal(name, shape)
    if name.endswith("running_var"):
        values = 0.5 + np.abs(values)
    elif "norm" in name and name.endswith(".weight"):
        values = 1 + 0.2 * values
    else:
        values = values * np.sqrt(1 / np.prod(shape[1:])) if len(shape) > 1 else 0.2 * values
    return values.astype(np.float32)


def _normal(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(int(hashlib.sha256(name.encode()).hexdigest()[:8], 16)).standard_normal(shape)
