"""G as it paints, by the way that is asked for and that the device has."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from ecgan.checkpoint import tensors
from ecgan.config import ModelConfig, Spade
from ecgan.networks.cpu.mask import Mask
from ecgan.networks.cpu.painter import Painter
from ecgan.networks.generator import Generator, Pictures
from ecgan.networks.noise_maps import NoiseMaps
from ecgan.networks.segmap import Segmap
from ecgan.networks.state import load_arrays
from ecgan.runtime import jt
from ecgan.runtime.precision import Precision


class Paint(Protocol):
    def __call__(self, z: jt.Var, mask: Any, noise_maps: NoiseMaps | None = None, /) -> Pictures:
        """Of style codes (N, z_dim) and a mask; `noise_maps` for a model that has them."""


class PaintingNetwork(NamedTuple):
    """`mask` makes a mask for `network` of labels (N, H, W), which may be painted from several times."""

    network: Paint
    mask: Callable[[np.ndarray], Any]


def painting_network(
    model: ModelConfig,
    arrays: Mapping[str, np.ndarray],
    spade: Spade = "exact-sparse",
    what: str = "G",
    precision: Precision = "float32",
) -> PaintingNetwork:
    """With `arrays`, the tensors of G by name; raises UserError that begins with `what` if they do not fit.

    `precision`: as `choose_precision` gives it for this device and `spade`.
    """
    if spade == "exact-sparse" and not jt.flags.use_cuda:
        shapes = {name: array.shape for name, array in arrays.items()}
        tensors.insist_on_fit(what, tensors.of_file("G", model) or {}, shapes)
        return PaintingNetwork(Painter(model, arrays, precision), Mask)
    generator = Generator(model)
    load_arrays(generator, dict(arrays), what)
    generator.eval()
    return PaintingNetwork(
        generator, lambda labels: Segmap(labels, model.semantic_nc, spade == "exact-sparse", weights_stay=True)
    )
