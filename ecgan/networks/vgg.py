"""The part of VGG19 (Simonyan and Zisserman, 2015) that the perceptual loss looks through, as far as relu5_1."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecgan.checkpoint.vgg import LAYERS
from ecgan.networks.convolution import conv2d
from ecgan.runtime import jt, nn

#: Convolutions, by their place in the files, before which the picture is halved.
_AFTER_POOLING = (5, 10, 19, 28)
#: Convolutions whose outputs (behind the ReLU) are compared: relu1_1, 2_1, 3_1, 4_1, 5_1.
_COMPARED = (0, 5, 10, 19, 28)


class VGG19Features(nn.Module):
    """Feature maps of pictures. Its weights are given, and never learn."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """`arrays`: as `ecgan.checkpoint.vgg.read_vgg19` gives them."""
        self._weights = {name: jt.array(arrays[name]).stop_grad() for name in arrays}

    def execute(self, x: jt.Var) -> list[jt.Var]:
        """x: (N, 3, H, W) in [-1, 1], as it comes: the original does not normalise it as ImageNet's pictures are.

        Returns the five maps that are compared, from full resolution to a sixteenth.
        """
        compared = []
        for layer in LAYERS:
            if layer in _AFTER_POOLING:
                x = nn.max_pool2d(x, 2, 2)
            weight, bias = (self._weights[f"features.{layer}.{part}"] for part in ("weight", "bias"))
            x = conv2d(x, weight, bias, padding=1, slope=0.0)  # a ReLU
            if layer in _COMPARED:
                compared.append(x)
        return compared
