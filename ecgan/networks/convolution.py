"""Convolutions in training: on the CPU those of 3x3 by Winograd's way, forwards and backwards, where that is faster.

What they give rounds in one way, however many threads compute it.
"""

from __future__ import annotations

from collections.abc import Callable

from ecgan.networks import rounding
from ecgan.networks.cpu.sources import source
from ecgan.runtime import jt, nn

#: Tiles of 4x4 pixels from which on Winograd's way is faster than oneDNN's direct one, whatever the channels. Measured
#: with one thread and AVX-512, forwards and both gradients together, Jittor's time over ours: 1024 -> 1024 channels at
#: 8x6 (4 tiles) 0.8, at 16x12 1.5, at 32x24 2.3; 256 -> 256 at 12x8 (6 tiles) 1.1, at 128x96 3.2; 64 -> 64 at 512x384
#: 2.2; 3 -> 64 there 1.1, 8 -> 3 1.2.
_LEAST_TILES = 8


def conv2d(
    x: jt.Var, weight: jt.Var, bias: jt.Var | None = None, stride: int = 1, padding: int = 0, slope: float = 1.0
) -> jt.Var:
    """(N, C, H, W) and (F, C, k, k) -> (N, F, …), float32; and a leaky ReLU of that slope unless it is 1."""
    if (*weight.shape[2:], stride, padding) == (3, 3, 1, 1) and by_winograd(x):
        return _conv3x3(x, weight, bias, slope)
    y = rounding.conv2d(x, weight, bias, stride, padding)
    return y if slope == 1 else nn.leaky_relu(y, slope) if slope else nn.relu(y)


class Conv3x3(nn.Conv):
    """That keeps height and width."""

    def __init__(self, fin: int, fout: int) -> None:
        super().__init__(fin, fout, 3, padding=1)

    def execute(self, x: jt.Var) -> jt.Var:
        return conv2d_of(self)(x, self.weight, self.bias, padding=1)


def conv2d_of(module: nn.Module) -> Callable[..., jt.Var]:
    """What convolves in it: as here in training, in evaluation as Jittor does, which is what all else is held against."""
    return conv2d if module.is_training() else rounding.conv2d


def by_winograd(x: jt.Var) -> bool:
    """Whether convolutions of 3x3 with stride and padding 1 go Winograd's way on maps x (N, C, H, W)."""
    count, _, height, width = x.shape
    return not jt.flags.use_cuda and count * -(-height // 4) * -(-width // 4) >= _LEAST_TILES


def _conv3x3(x: jt.Var, weight: jt.Var, bias: jt.Var | None, slope: float) -> jt.Var:
    inputs = [x, weight] if bias is None else [x, weight, bias]
    passed = "ecgan::AsItIs{}" if slope == 1 else "ecgan::Through{pout_p, float(data[\"slope\"])}"
    sizes = "in0_shape0, in0_shape1, in1_shape0, in0_shape2, in0_shape3, omp_get_max_threads()"
    given = "nullptr" if bias is None else "in2_p"
    return jt.code(
        [x.shape[0], weight.shape[0], *x.shape[2:]],
        "float32",
        inputs,
        cpu_header="#include <omp.h>\n" + source("convolution"),
        cpu_src=f'ecgan::convolution({sizes}, in0_p, in1_p, {given}, data["slope"], out0_p);',
        cpu_grad_src=[
            f"ecgan::gradient_by_data({sizes}, dout_p, {passed}, in1_p, out0_p);",
            f"ecgan::gradient_by_weights({sizes}, in0_p, dout_p, {passed}, out0_p);",
            f"ecgan::gradient_by_bias(in0_shape0, in1_shape0, in0_shape2 * in0_shape3, dout_p, {passed}, out0_p);",
        ][: len(inputs)],
        data={"slope": slope},
    )
