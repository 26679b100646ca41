"""A network's tensors as NumPy arrays under the checkpoint's names, in and out."""

from __future__ import annotations

import numpy as np

from ecgan.checkpoint.tensors import insist_on_fit
from ecgan.runtime import jt, nn


def to_arrays(network: nn.Module) -> dict[str, np.ndarray]:
    """Every tensor of `network`, running statistics included."""
    return {name: var.numpy() for name, var in network.state_dict().items()}


def load_arrays(network: nn.Module, arrays: dict[str, np.ndarray], what: str) -> None:
    """Puts `arrays` into `network`; every name and shape must agree.

    Raises UserError that begins with `what` and names the tensors that are missing, left over or
    of another shape.
    """
    state = network.state_dict()
    shapes = {name: array.shape for name, array in arrays.items()}
    insist_on_fit(what, {name: tuple(var.shape) for name, var in state.items()}, shapes)
    for name, var in state.items():
        var.assign(jt.array(np.ascontiguousarray(arrays[name], dtype=np.float32)))
