"""Inception v3 (Szegedy et al. 2016) as the Fréchet Inception Distance takes it: 2048 features of a picture.

The weights are those of the TensorFlow network of 2015 in pytorch-fid's file, from which these blocks differ
from torchvision's: averages count no padding, and the last block's pool takes the maximum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ecgan.runtime import jt, nn

FEATURES = 2048
#: Height and width at which it sees every picture.
SIZE = 299
_BATCH_NORM_EPS = 1e-3
_Padding = int | tuple[int, int]


class Inception:
    """The network in evaluation; BatchNorm is part of its convolutions."""

    def __init__(self, arrays: Mapping[str, np.ndarray]) -> None:
        """`arrays`: tensors under torchvision's names; raises KeyError if one is missing."""
        self._layers = {name: _fold(arrays, name) for name in _names(arrays)}

    def __call__(self, pictures: jt.Var) -> jt.Var:
        """(N, 3, H, W) in [0, 1], of any size -> (N, 2048)."""
        x = nn.interpolate(pictures, size=(SIZE, SIZE), mode="bilinear", align_corners=False) * 2 - 1
        x = self._conv("Conv2d_1a_3x3", x, stride=2)
        x = self._conv("Conv2d_2a_3x3", x)
        x = self._conv("Conv2d_2b_3x3", x, padding=1)
        x = nn.max_pool2d(x, 3, 2)
        x = self._conv("Conv2d_3b_1x1", x)
        x = self._conv("Conv2d_4a_3x3", x)
        x = nn.max_pool2d(x, 3, 2)
        for name in ("Mixed_5b", "Mixed_5c", "Mixed_5d"):
            x = self._block_35(name, x)
        x = self._to_17(x)
        for name in ("Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"):
            x = self._block_17(name, x)
        x = self._to_8(x)
        x = self._block_8("Mixed_7b", x, _average(x))
        x = self._block_8("Mixed_7c", x, nn.max_pool2d(x, 3, 1, 1))
        return x.mean((2, 3))

    def _conv(self, name: str, x: jt.Var, stride: int = 1, padding: _Padding = 0) -> jt.Var:
        weight, bias = self._layers[name]
        return nn.relu(nn.conv2d(x, weight, bias, stride, padding))

    def _chain(self, block: str, x: jt.Var, *steps: tuple[str, _Padding]) -> jt.Var:
        for name, padding in steps:
            x = self._conv(f"{block}.{name}", x, padding=padding)
        return x

    def _block_35(self, name: str, x: jt.Var) -> jt.Var:
        """Blocks on maps of 35x35."""
        branches = [
            self._chain(name, x, ("branch1x1", 0)),
            self._chain(name, x, ("branch5x5_1", 0), ("branch5x5_2", 2)),
            self._chain(name, x, ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1), ("branch3x3dbl_3", 1)),
            self._chain(name, _average(x), ("branch_pool", 0)),
        ]
        return jt.concat(branches, dim=1)

    def _to_17(self, x: jt.Var) -> jt.Var:
        doubled = self._chain("Mixed_6a", x, ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1))
        branches = [
            self._conv("Mixed_6a.branch3x3", x, stride=2),
            self._conv("Mixed_6a.branch3x3dbl_3", doubled, stride=2),
            nn.max_pool2d(x, 3, 2),
        ]
        return jt.concat(branches, dim=1)

    def _block_17(self, name: str, x: jt.Var) -> jt.Var:
        """Blocks on maps of 17x17: 7x7 convolutions as a row and a column."""
        wide, high = (0, 3), (3, 0)
        branches = [
            self._chain(name, x, ("branch1x1", 0)),
            self._chain(name, x, ("branch7x7_1", 0), ("branch7x7_2", wide), ("branch7x7_3", high)),
            self._chain(
                name,
                x,
                ("branch7x7dbl_1", 0),
                ("branch7x7dbl_2", high),
                ("branch7x7dbl_3", wide),
                ("branch7x7dbl_4", high),
                ("branch7x7dbl_5", wide),
            ),
            self._chain(name, _average(x), ("branch_pool", 0)),
        ]
        return jt.concat(branches, dim=1)

    def _to_8(self, x: jt.Var) -> jt.Var:
        three = self._chain("Mixed_7a", x, ("branch3x3_1", 0))
        seven = self._chain("Mixed_7a", x, ("branch7x7x3_1", 0), ("branch7x7x3_2", (0, 3)), ("branch7x7x3_3", (3, 0)))
        branches = [
            self._conv("Mixed_7a.branch3x3_2", three, stride=2),
            self._conv("Mixed_7a.branch7x7x3_4", seven, stride=2),
            nn.max_pool2d(x, 3, 2),
        ]
        return jt.concat(branches, dim=1)

    def _block_8(self, name: str, x: jt.Var, pooled: jt.Var) -> jt.Var:
        """Blocks on maps of 8x8: 3x3 convolutions as a row beside a column."""
        wide, high = (0, 1), (1, 0)
        three = self._chain(name, x, ("branch3x3_1", 0))
        doubled = self._chain(name, x, ("branch3x3dbl_1", 0), ("branch3x3dbl_2", 1))
        branches = [
            self._chain(name, x, ("branch1x1", 0)),
            self._chain(name, three, ("branch3x3_2a", wide)),
            self._chain(name, three, ("branch3x3_2b", high)),
            self._chain(name, doubled, ("branch3x3dbl_3a", wide)),
            self._chain(name, doubled, ("branch3x3dbl_3b", high)),
            self._chain(name, pooled, ("branch_pool", 0)),
        ]
        return jt.concat(branches, dim=1)


def _average(x: jt.Var) -> jt.Var:
    """3x3 average at every place, of what lies inside (Jittor's count_include_pad=False is something else)."""
    inside = nn.avg_pool2d(jt.ones((1, 1, *x.shape[2:])), 3, 1, 1)
    return nn.avg_pool2d(x, 3, 1, 1) / inside


def _names(arrays: Mapping[str, np.ndarray]) -> list[str]:
    """Of the convolutions that count: the second head of the training is left out."""
    ending = ".conv.weight"
    return [name.removesuffix(ending) for name in arrays if name.endswith(ending) and not name.startswith("Aux")]


def _fold(arrays: Mapping[str, np.ndarray], name: str) -> tuple[jt.Var, jt.Var]:
    gamma, beta, mean, variance = (
        arrays[f"{name}.bn.{part}"].astype(np.float64) for part in ("weight", "bias", "running_mean", "running_var")
    )
    scale = gamma / np.sqrt(variance + _BATCH_NORM_EPS)
    weight = arrays[f"{name}.conv.weight"] * scale[:, None, None, None]
    bias = beta - mean * scale
    return jt.array(weight.astype(np.float32)).stop_grad(), jt.array(bias.astype(np.float32)).stop_grad()
