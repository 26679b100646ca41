"""A network's tensors as NumPy arrays under the checkpoint's names, in and out."""

from __future__ import annotations

import numpy as np

from ecgan.errors import UserError
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
    faults = [f"{name} is missing" for name in state if name not in arrays]
    faults += [f"{name} is not part of the network" for name in arrays if name not in state]
    faults += [
        f"{name} has shape {arrays[name].shape}, the network's is {tuple(var.shape)}"
        for name, var in state.items()
        if name in arrays and tuple(var.shape) != arrays[name].shape
    ]
    if faults:
        shown = "; ".join(faults[:5]) + (f"; and {len(faults) - 5} more" if len(faults) > 5 else "")
        raise UserError(f"{what} does not fit the network: {shown}")
    for name, var in state.items():
        var.assign(jt.array(np.ascontiguousarray(arrays[name], dtype=np.float32)))
