"""Convolutions in training: on the CPU those of stride 1 by Winograd's way, forwards and backwards, where it is faster.

What they give rounds in one way, however many threads compute it.
"""

from __future__ import annotations

from ecgan.networks import rounding
from ecgan.networks.cpu.planes import convolve
from ecgan.runtime import jt, nn

#: Taps and padding of a kernel that has Winograd's way.
_KERNELS = ((3, 1), (4, 2))
#: Tiles of 4x4 pixels from which on it is faster than oneDNN's direct way, whatever the channels. Measured for 3x3
#: with one thread and AVX-512, forwards and both gradients together, Jittor's time over ours: 1024 -> 1024 channels at
#: 8x6 (4 tiles) 0.8, at 16x12 1.5, at 32x24 2.3; 256 -> 256 at 12x8 (6 tiles) 1.1, at 128x96 3.2; 64 -> 64 at 512x384
#: 2.2; 3 -> 64 there 1.1, 8 -> 3 1.2.
_LEAST_TILES = 8


def conv2d(
    x: jt.Var,
    weight: jt.Var,
    bias: jt.Var | None = None,
    stride: int = 1,
    padding: int = 0,
    slope: float = 1.0,
    training: bool = True,
) -> jt.Var:
    """(N, C, H, W) and (F, C, k, k) -> (N, F, …), float32; and a leaky ReLU of that slope unless it is 1.

    In evaluation as Jittor does, which all else is held against.
    """
    if training and stride == 1 and (weight.shape[2], padding) in _KERNELS and by_winograd(x):
        return convolve(x, weight, bias, padding, slope)
    y = rounding.conv2d(x, weight, bias, stride, padding)
    return y if slope == 1 else nn.leaky_relu(y, slope) if slope else nn.relu(y)


class Conv(nn.Conv):
    """Of square kernels, that convolves so."""

    def __init__(self, fin: int, fout: int, kernel: int, padding: int) -> None:
        super().__init__(fin, fout, kernel, padding=padding)

    def execute(self, x: jt.Var, slope: float = 1.0) -> jt.Var:
        return conv2d(x, self.weight, self.bias, 1, self.padding[0], slope, self.is_training())


def by_winograd(x: jt.Var) -> bool:
    """Whether convolutions of maps x (N, C, H, W) with one of `_KERNELS` go this way."""
    count, _, height, width = x.shape
    return not jt.flags.use_cuda and count * -(-height // 4) * -(-width // 4) >= _LEAST_TILES
