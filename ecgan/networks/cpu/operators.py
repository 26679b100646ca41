"""The painter's operators: float32, maps (N, H, W, channels) with channels filled up to a multiple of `BLOCK`.

Each picture of a batch, and each pixel, has the bits that it would have alone, whatever the number of threads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from ecgan.networks.cpu.sources import source
from ecgan.networks.layers import LRELU_SLOPE
from ecgan.runtime import jt

#: As in vectors.h.
BLOCK = 16
#: From so many tiles of 4x4 pixels on, transformed weights are worth four times the memory of the weights.
_TILES_WORTH_IT = 96

_THREADS = "#include <omp.h>\n"


def padded(channels: int) -> int:
    return -(-channels // BLOCK) * BLOCK


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


class Kernel:
    """Weights of a 3x3 convolution, and what Winograd's way makes of them."""

    def __init__(
        self, weight: np.ndarray, bias: np.ndarray | None, tiles: int, pieces: Sequence[int] | None = None
    ) -> None:
        """`weight`: (F, C, 3, 3); `bias`: (F,). `tiles`: of how many its maps are. `pieces`: how many channels each
        piece of its input has, one piece if not given."""
        features, channels = weight.shape[:2]
        if pieces is not None:
            weight, channels = _spread(weight, pieces), sum(map(padded, pieces))
        self.channels, self.features = padded(channels), padded(features)
        self.taps = pack(weight.reshape((features, channels, 9)), outer=1)
        self.products = _kept(self._transformed()) if tiles >= _TILES_WORTH_IT else _nothing(1)
        self.bias = filled(np.zeros(features, np.float32) if bias is None else bias)

    def _transformed(self) -> jt.Var:
        code = "ecgan::transform_all(data[\"channels\"], data[\"features\"], in0_p, out0_p);"
        size = 36 * self.channels * self.features
        sizes = {"channels": self.channels, "features": self.features}
        return _operator([size], [self.taps], code, "winograd", **sizes)


def convolve_modulated(
    x: jt.Var, table: jt.Var, index: jt.Var, kernel: Kernel, activated: bool = True, rows: Rows | None = None
) -> jt.Var:
    """A convolution of what SPADE and a leaky ReLU make of x.

    x: (N, H, W, C), or half as high and wide, and it is doubled; table: (K, 2, C) scale and shift; index: (N, H, W).
    """
    count, height, width = index.shape
    values, at = rows or _no_rows()
    return _operator(
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
        "winograd",
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

    `gate`: gates the first piece before the ReLU; `factor`: (N, C), multiplies behind it. Of the result, `bounded`: tanh;
    `gated_by`: a map of the same shape that gates it then.
    """
    count, height, width, _ = pieces[0].map.shape
    none = Piece(_nothing(1, 1, 1, 1), 0, 0)
    three = [*pieces, none, none][:3]
    values, at = rows or _no_rows()
    data = {f"first{i}": each.first for i, each in enumerate([*three, gate or none])}
    data |= {f"channels{i}": each.channels for i, each in enumerate(three)}
    return _operator(
        [count, height, width, kernel.features],
        [
            *(each.map for each in [*three, gate or none]),
            factor if factor is not None else _nothing(1, 1),
            kernel.taps,
            kernel.products,
            kernel.bias,
            values,
            at,
            gated_by if gated_by is not None else _nothing(1, 1, 1, 1),
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
        "winograd",
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
    return _operator(
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
    return _operator(
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
    return _operator(
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
    return _operator(
        [outer.shape[0], 2, channels],
        [hidden, outer, gamma, beta, constants],
        """ecgan::tabulate(in1_shape0, in0_shape0, in0_shape1, in4_shape1, in1_p, in0_p, in2_p, in3_p, in4_p,
                           out0_p);""",
        "tables",
    )


def attend(x: jt.Var) -> jt.Var:
    """1 + sigmoid of each channel's mean: (N, H, W, C) -> (N, C)."""
    return _operator(
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


def pack(weight: np.ndarray, outer: int = 1) -> jt.Var:
    """(F, A, B) -> panels of features with rows in the order (a, b) or, if `outer` is 2, (b, a).

    A, the channels, and F are filled up to multiples of `BLOCK`.
    """
    features, channels, taps = weight.shape
    sizes = {"features": padded(features), "channels": padded(channels), "taps_first": outer == 2}
    code = """
        const int64_t features = in0_shape0, channels = in0_shape1, taps = in0_shape2, of_feature = channels * taps;
        const int64_t all_features = data["features"], all_channels = data["channels"];
        if (data["taps_first"])
            ecgan::pack(in0_p, features, of_feature, taps, 1, channels, taps, all_features, taps, out0_p);
        else
            ecgan::pack(in0_p, features, of_feature, channels, taps, taps, 1, all_features, all_channels, out0_p);
    """
    given = jt.array(np.ascontiguousarray(weight, np.float32))
    return _kept(_operator([padded(features) * padded(channels) * taps], [given], code, "product", **sizes))


def filled(values: np.ndarray) -> jt.Var:
    """(…, C) -> (…, C filled up with zeros)."""
    missing = padded(values.shape[-1]) - values.shape[-1]
    return _kept(jt.array(np.pad(values.astype(np.float32), [(0, 0)] * (values.ndim - 1) + [(0, missing)])))


def _spread(weight: np.ndarray, pieces: Sequence[int]) -> np.ndarray:
    """Input channels of (F, C, 3, 3) with zeros behind each piece, up to a multiple of `BLOCK`."""
    parts = np.split(weight, np.cumsum(pieces)[:-1], axis=1)
    return np.concatenate(
        [np.pad(part, ((0, 0), (0, padded(count) - count), (0, 0), (0, 0))) for part, count in zip(parts, pieces)],
        axis=1,
    )


def _kept(var: jt.Var) -> jt.Var:
    """Computed now, so that nothing it was computed from is held."""
    var = var.stop_grad()
    var.sync()
    return var


def _nothing(*shape: int) -> jt.Var:
    return jt.zeros(shape).stop_grad()


def _no_rows() -> Rows:
    return Rows(_nothing(1, 1), jt.zeros((1, 1, 1), "int32").stop_grad())


def _operator(shape: list[int], inputs: list[jt.Var], code: str, *headers: str, **data: float) -> jt.Var:
    numbers = {name: float(value) for name, value in data.items()}
    return jt.code(shape, "float32", inputs, cpu_header=_THREADS + source(*headers), cpu_src=code, data=numbers)
