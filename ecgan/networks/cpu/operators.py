"""The painter's operators: float32, maps (N, H, W, channels) with channels filled up to a multiple of `BLOCK`.

Each picture of a batch, and each pixel, has the bits that it would have alone, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ecgan.networks.cpu.code import nothing, operator
from ecgan.networks.cpu.weights import Kernel
from ecgan.networks.layers import LRELU_SLOPE
from ecgan.runtime import jt


class Piece(NamedTuple):
    """Channels of a map: so many from `first` on, both multiples of `BLOCK`."""

    map: jt.Var
    first: int
    channels: int

    @classmethod
    def of(cls, whole: jt.Var) -> Piece:
        return cls(whole, 0, whole.shape[3])


class Rows(NamedTuple):
    """What is added to pixels: `values` (R, channels), and which of them `at` (N, H, W) each pixel."""

    values: jt.Var
    at: jt.Var


def convolve_modulated(
    x: jt.Var, table: jt.Var, index: jt.Var, kernel: Kernel, activated: bool = True, rows: Rows | None = None
) -> jt.Var:
    """A convolution of what SPADE and a leaky ReLU make of x.

    x: (N, H, W, C), or half as high and wide, and it is doubled; table: (K, 2, C) scale and shift; index: (N, H, W).
    """
    count, height, width = index.shape
    values, at = rows or _no_rows()
    return operator(
        [count, height, width, kernel.features],
        [x, table, index, kernel.taps, kernel.products, kernel.bias, values, at],
        """
        const int64_t height = in2_shape1, width = in2_shape2, channels = in0_shape3, features = out0_shape3;
        const ecgan::Modulated read{in0_p, in1_p, in2_p, height, width, channels, height != in0_shape1,
                                    (float)data["slope"]};
        const bool added = data["added"];
        const ecgan::Written write{out0_p, in5_p, added ? in6_p : nullptr, in7_p, {}, false, height, width, features};
        const ecgan::Weights weights{channels, features, in3_p, in4_shape0 > 1 ? in4_p : nullptr};
        ecgan::convolve(in2_shape0, height, width, weights, omp_get_max_threads(), read, write);
        """,
        kernel.header,
        "maps",
        slope=LRELU_SLOPE if activated else 1.0,
        added=rows is not None,
    )


def convolve(
    pieces: Sequence[Piece],
    kernel: Kernel,
    gate: Piece | None = None,
    factor: jt.Var | None = None,
    rows: Rows | None = None,
    bounded: bool = False,
    gated_by: jt.Var | None = None,
) -> jt.Var:
    """A convolution of a leaky ReLU of up to three pieces one behind another.

    `gate`: gates the first piece before the ReLU; `factor`: (N, C), multiplies behind it. Of the result, `bounded`:
    tanh; `gated_by`: a map of the same shape that gates it then.
    """
    count, height, width, _ = pieces[0].map.shape
    none = Piece(nothing(1, 1, 1, 1), 0, 0)
    three = [*pieces, none, none][:3]
    values, at = rows or _no_rows()
    data = {f"first{i}": each.first for i, each in enumerate([*three, gate or none])}
    data |= {f"channels{i}": each.channels for i, each in enumerate(three)}
    return operator(
        [count, height, width, kernel.features],
        [
            *(each.map for each in [*three, gate or none]),
            factor if factor is not None else nothing(1, 1),
            kernel.taps,
            kernel.products,
            kernel.bias,
            values,
            at,
            gated_by if gated_by is not None else nothing(1, 1, 1, 1),
        ],
        """
        const int64_t height = out0_shape1, width = out0_shape2, features = out0_shape3;
        const ecgan::Piece a{in0_p + (int64_t)data["first0"], in0_shape3, (int64_t)data["channels0"]};
        const ecgan::Piece b{in1_p + (int64_t)data["first1"], in1_shape3, (int64_t)data["channels1"]};
        const ecgan::Piece c{in2_p + (int64_t)data["first2"], in2_shape3, (int64_t)data["channels2"]};
        const ecgan::Piece gate{data["gate"] ? in3_p + (int64_t)data["first3"] : nullptr, in3_shape3, 0};
        const int64_t channels = a.channels + b.channels + c.channels;
        const ecgan::Activated read{{a, b, c}, gate, data["factor"] ? in4_p : nullptr, height, width, channels,
                                    (float)data["slope"]};
        const ecgan::Piece gated_by{data["gated"] ? in10_p : nullptr, in10_shape3, 0};
        const ecgan::Written write{out0_p, in7_p, data["added"] ? in8_p : nullptr, in9_p, gated_by,
                                   (bool)data["bounded"], height, width, features};
        const ecgan::Weights weights{channels, features, in5_p, in6_shape0 > 1 ? in6_p : nullptr};
        ecgan::convolve(out0_shape0, height, width, weights, omp_get_max_threads(), read, write);
        """,
        kernel.header,
        "maps",
        **data,
        slope=LRELU_SLOPE,
        gate=gate is not None,
        factor=factor is not None,
        added=rows is not None,
        bounded=bounded,
        gated=gated_by is not None,
    )


def multiply_modulated(x: jt.Var, table: jt.Var, pairs: jt.Var, panels: jt.Var, features: int) -> jt.Var:
    """Of pairs (R, 2), a pixel of x (N, h, w, C) and an entry of table (K, 2, C): x * scale + shift times a matrix,
    `panels` of (C, features): (R, features)."""
    return operator(
        [pairs.shape[0], features],
        [x, table, pairs, panels],
        """
        const int64_t count = in2_shape0, channels = in0_shape3, features = out0_shape1;
        const ecgan::Modulated read{in0_p, in1_p, nullptr, 0, 0, channels, 0, 1.f};
        #pragma omp parallel for schedule(dynamic)
        for (int64_t first = 0; first < count; first += ecgan::ROWS_AT_A_TIME) {
            const int64_t some = std::min(ecgan::ROWS_AT_A_TIME, count - first);
            const ecgan::Buffer rows = ecgan::buffer(some * channels);
            for (int64_t r = 0; r < some; r++) {
                const int* pair = in2_p + (first + r) * 2;
                for (int64_t c = 0; c < channels; c += ecgan::LANES)
                    ecgan::save(rows.get() + r * channels + c, read.at(in0_p + pair[0] * channels, pair[1], c));
            }
            for (int64_t f = 0; f < features; f += ecgan::PANEL)
                ecgan::multiply(some, rows.get(), channels, in3_p + f * channels, ecgan::panel_width(features, f),
                                channels, out0_p + first * features + f, features);
        }
        """,
        "maps",
        "tables",
    )


def multiply(x: jt.Var, panels: jt.Var, bias: jt.Var) -> jt.Var:
    """x (R, C) times `panels` of (C, F), plus bias (F,): (R, F)."""
    return operator(
        [x.shape[0], bias.shape[0]],
        [x, panels, bias],
        """
        const int64_t rows = in0_shape0, channels = in0_shape1, features = in2_shape0;
        #pragma omp parallel for
        for (int64_t f = 0; f < features; f += ecgan::PANEL) {
            const int64_t width = ecgan::panel_width(features, f);
            for (int64_t r = 0; r < rows; r++)
                std::memcpy(out0_p + r * features + f, in2_p + f, width * sizeof(float));
            ecgan::multiply(rows, in0_p, channels, in1_p + f * channels, width, channels, out0_p + f, features, true);
        }
        """,
        "product",
    )


def see(labels: jt.Var, weights: jt.Var, bias: jt.Var, cut: bool) -> jt.Var:
    """What a 3x3 convolution makes of one-hot labels (M, 9) int32, larger than any class where outside the frame.

    weights: (9, classes, F); bias: (F,). And a ReLU if `cut`. (M, F).
    """
    return operator(
        [labels.shape[0], bias.shape[0]],
        [labels, weights, bias],
        'ecgan::see(in0_shape0, in2_shape0, in1_shape1, in0_p, in1_p, in2_p, data["cut"], out0_p);',
        "tables",
        cut=cut,
    )


def tabulate(hidden: jt.Var, outer: jt.Var, gamma: jt.Var, beta: jt.Var, constants: jt.Var) -> jt.Var:
    """Scale and shift of each distinct surrounding, (K, 2, C).

    hidden: (M, inner); outer: (K, 9) int32, M where outside the frame; gamma, beta: packed weights; constants: (4, C),
    their biases, and the normalisation's rate and mean.
    """
    channels = constants.shape[1]
    return operator(
        [outer.shape[0], 2, channels],
        [hidden, outer, gamma, beta, constants],
        """ecgan::tabulate(in1_shape0, in0_shape0, in0_shape1, in4_shape1, in1_p, in0_p, in2_p, in3_p, in4_p,
                           out0_p);""",
        "tables",
    )


def attend(x: jt.Var) -> jt.Var:
    """1 + sigmoid of each channel's mean: (N, H, W, C) -> (N, C)."""
    return operator(
        [x.shape[0], x.shape[3]],
        [x],
        """
        const int64_t images = in0_shape0, height = in0_shape1, width = in0_shape2, channels = in0_shape3;
        const ecgan::Buffer sums = ecgan::buffer(images * height * channels);
        #pragma omp parallel for
        for (int64_t row = 0; row < images * height; row++)
            for (int64_t c = 0; c < channels; c += ecgan::LANES) {
                ecgan::vec sum = {};
                for (int64_t i = 0; i < width; i++) sum += ecgan::load(in0_p + (row * width + i) * channels + c);
                ecgan::save(sums.get() + row * channels + c, sum);
            }
        for (int64_t image = 0; image < images; image++)
            for (int64_t c = 0; c < channels; c += ecgan::LANES) {
                ecgan::vec sum = {};
                for (int64_t i = 0; i < height; i++)
                    sum += ecgan::load(sums.get() + (image * height + i) * channels + c);
                ecgan::save(out0_p + image * channels + c, 1.f + ecgan::sigmoid(sum / (float)(height * width)));
            }
        """,
        "elementwise",
    )


def _no_rows() -> Rows:
    return Rows(nothing(1, 1), jt.zeros((1, 1, 1), "int32").stop_grad())
