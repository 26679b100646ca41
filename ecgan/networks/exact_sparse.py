"""SPADE's scale and shift from a table: once for each distinct surrounding in the masks, then looked up.

Exact up to the order of summation, its gradients too; `SPADE` itself is the readable form. Where nearly
every pixel has surroundings of its own (small layers, masks like noise) nothing is won, and that form runs.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from ecgan.networks import neighbourhoods
from ecgan.networks.modulation import Lookup
from ecgan.networks.neighbourhoods import OUTSIDE, Neighbourhoods
from ecgan.networks.rounding import matmul
from ecgan.runtime import jt, nn

#: From this share of distinct surroundings on, and below so many pixels, the dense form is as fast.
_WORTH_IT, _LEAST_PIXELS = 0.6, 512


def find(labels: np.ndarray) -> Neighbourhoods | None:
    """The distinct surroundings in masks (N, H, W); None if the dense form is to be preferred."""
    _, height, width = labels.shape
    return neighbourhoods.find(labels, _WORTH_IT) if height * width >= _LEAST_PIXELS else None


class Distinct(NamedTuple):
    """Distinct surroundings, as the two convolutions need them.

    `one_hot`: (channels * 9, M), a column for each 3x3 one, zeros for what is outside the frame.
    `outer`: (K, 9) as in `Neighbourhoods`, on the device.
    """

    one_hot: jt.Var
    outer: jt.Var

    def through(self, shared: nn.Conv, *layers: nn.Conv) -> list[jt.Var]:
        """What each of `layers`, 3x3 convolutions behind `shared` and a ReLU, makes of each surrounding: (C, K)."""
        hidden = matmul(_matrix(shared.weight), self.one_hot)
        hidden = (hidden + shared.bias.unsqueeze(1)).maximum(0.0)  # (features, M)
        # What lies outside the frame counts as zero for the second convolution, too.
        columns = hidden.reindex(
            [hidden.shape[0] * 9, self.outer.shape[0]],
            ["i0/9", "@e0(i1,i0%9)"],
            extras=[self.outer],
            overflow_value=0.0,
        )
        weights = jt.concat([_matrix(layer.weight) for layer in layers], dim=0)
        rows = matmul(weights, columns)  # one product for all
        tables, first = [], 0
        for layer in layers:
            last = first + layer.weight.shape[0]
            tables.append(rows[first:last] + layer.bias.unsqueeze(1))
            first = last
        return tables

    def seen_by(self, weight: jt.Var) -> jt.Var:
        """What a 3x3 convolution of `weight` (C, channels, 3, 3) makes of each surrounding's centre: (C, K)."""
        of_inner = matmul(_matrix(weight), self.one_hot)
        return of_inner.reindex([weight.shape[0], self.outer.shape[0]], ["i0", "@e0(i1,4)"], extras=[self.outer])


class Surroundings:
    """Of N masks at one resolution: what is computed for them once, whatever layer asks.

    `look_up`: a table's column for each pixel. `weights_stay`: what has been computed for a layer is
    kept for the next time it asks.
    """

    def __init__(self, found: Neighbourhoods, channels: int, weights_stay: bool) -> None:
        self.distinct = Distinct(jt.array(_one_hot(found, channels)).stop_grad(), jt.array(found.outer).stop_grad())
        self.look_up = Lookup(found.index)
        self._weights_stay = weights_stay
        self._kept: dict[int, jt.Var] = {}

    def table(self, layer: nn.Module, compute: Callable[[Distinct], jt.Var]) -> jt.Var:
        """`layer`'s table (..., K), as `compute` gives it."""
        if id(layer) in self._kept:
            return self._kept[id(layer)]
        # Not fused with what looks into it, or it would be computed anew at every pixel.
        table = compute(self.distinct).stop_fuse()
        if self._weights_stay:
            self._kept[id(layer)] = table
        return table


def _one_hot(found: Neighbourhoods, channels: int) -> np.ndarray:
    labels = np.where(found.inner == OUTSIDE, channels, found.inner)
    planes = np.eye(channels + 1, channels, dtype=np.float32)[labels]  # (M, 9, channels)
    return np.ascontiguousarray(planes.transpose(2, 1, 0).reshape(channels * 9, -1))


def _matrix(weight: jt.Var) -> jt.Var:
    return weight.reshape((weight.shape[0], -1))
