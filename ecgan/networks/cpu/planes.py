"""Operators on maps as Jittor has them, (N, C, H, W) float32, with gradients.

They round in one way, however many threads compute them and whatever else is in the batch.
"""

from __future__ import annotations

from ecgan.networks.cpu.code import operator
from ecgan.runtime import jt


def convolve(x: jt.Var, weight: jt.Var, bias: jt.Var | None, padding: int, slope: float = 1.0) -> jt.Var:
    """A convolution of stride 1 by Winograd's way, and a leaky ReLU of that slope behind it, none if it is 1.

    x: (N, C, H, W); weight: (F, C, k, k), k 3 or 4; bias: (F,). `padding`: below k.
    """
    taps = weight.shape[2]
    height, width = (length + 2 * padding + 1 - taps for length in x.shape[2:])
    sizes = '{in0_shape0, in0_shape1, in1_shape0, in0_shape2, in0_shape3, data["padding"]}, omp_get_max_threads()'
    given = "nullptr" if bias is None else "in2_p"
    passed = "ecgan::AsItIs{}" if slope == 1 else 'ecgan::Through{pout_p, float(data["slope"])}'
    return operator(
        [x.shape[0], weight.shape[0], height, width],
        [x, weight] if bias is None else [x, weight, bias],
        [
            f'ecgan::convolution<{taps}>({sizes}, in0_p, in1_p, {given}, data["slope"], out0_p);',
            f"ecgan::gradient_by_data<{taps}>({sizes}, dout_p, {passed}, in1_p, out0_p);",
            f"ecgan::gradient_by_weights<{taps}>({sizes}, in0_p, dout_p, {passed}, out0_p);",
            f"ecgan::gradient_by_bias(in1_shape0, dout_shape0, dout_shape2 * dout_shape3, dout_p, {passed}, out0_p);",
        ],
        "convolution",
        padding=padding,
        slope=slope,
    )
