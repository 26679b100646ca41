"""Operators on maps as Jittor has them, (N, C, H, W) float32, with gradients.

They round in one way, however many threads compute them and whatever else is in the batch.
"""

from __future__ import annotations

from ecgan.networks.cpu.code import operator
from ecgan.runtime import jt

_SIZES = """
    const auto number = [&](const char* name) { return (int64_t)data[name]; };
    const ecgan::Sizes sizes{number("images"), number("channels"), number("features"), number("height"),
                             number("width"), number("padding")};
    const int threads = omp_get_max_threads();
"""


def convolve(x: jt.Var, weight: jt.Var, bias: jt.Var | None, padding: int, slope: float = 1.0) -> jt.Var:
    """A convolution of stride 1 by Winograd's way, and a leaky ReLU of that slope behind it, none if it is 1.

    x: (N, C, H, W); weight: (F, C, k, k), k 3 or 4; bias: (F,). `padding`: below k.
    """
    return _Convolution(padding, slope)(x, weight, bias)


class _Convolution(jt.Function):
    """Holds what its gradients need; an operator with gradients would hold all its maps until the last of them."""

    def __init__(self, padding: int, slope: float) -> None:
        self._padding, self._slope = padding, slope

    def execute(self, x: jt.Var, weight: jt.Var, bias: jt.Var | None) -> jt.Var:
        count, channels, height, width = x.shape
        features, _, taps, _ = weight.shape
        self._data = {"images": count, "channels": channels, "features": features, "height": height, "width": width}
        self._data |= {"padding": self._padding, "slope": self._slope}
        shape = [count, features, *(length + 2 * self._padding + 1 - taps for length in (height, width))]
        inputs, given = ([x, weight], "nullptr") if bias is None else ([x, weight, bias], "in2_p")
        call = f'ecgan::convolution<{taps}>(sizes, threads, in0_p, in1_p, {given}, data["slope"], out0_p);'
        y = self._operator(shape, inputs, call)
        self._learning = [each is not None and not each.is_stop_grad() for each in (x, weight, bias)]
        self._x = x if self._learning[1] else None
        self._weight = weight
        self._y = None if self._slope == 1 else y
        return y

    def grad(self, dy: jt.Var) -> list[jt.Var | None]:
        sizes, taps = self._data, self._weight.shape[2]
        behind = [] if self._y is None else [self._y]  # what a leaky ReLU gave tells what it lets through
        of_x = [sizes["images"], sizes["channels"], sizes["height"], sizes["width"]]

        def gradient(shape: list[int], by: str, needed: list[jt.Var], call: str) -> jt.Var:
            passed = f'ecgan::Through{{in{len(needed)}_p, float(data["slope"])}}' if behind else "ecgan::AsItIs{}"
            return self._operator(shape, [*needed, *behind], f"ecgan::gradient_by_{by}({call}, {passed}, out0_p);")

        x, weight, bias = self._learning
        return [
            gradient(of_x, f"data<{taps}>", [dy, self._weight], "sizes, threads, in1_p, in0_p") if x else None,
            gradient(list(self._weight.shape), f"weights<{taps}>", [dy, self._x], "sizes, threads, in1_p, in0_p")
            if weight
            else None,
            gradient([sizes["features"]], "bias", [dy], "in0_shape1, in0_shape0, in0_shape2 * in0_shape3, in0_p")
            if bias
            else None,
        ]

    def _operator(self, shape: list[int], inputs: list[jt.Var], call: str) -> jt.Var:
        return operator(shape, inputs, _SIZES + call, "convolution", **self._data)
