"""x * scale + shift and a leaky ReLU, with scale and shift looked up in a table for each pixel; x may be doubled first.

On the CPU this is one operator: it reads x as it is, half the size where it is to be doubled, and writes the result,
where Jittor's own operators would write and read a map for each of these steps. Where 16 neighbours share a column
of the table, which most do, it is read once for them.
"""

from __future__ import annotations

import numpy as np

from ecgan.networks.layers import LRELU_SLOPE, lrelu, upsample
from ecgan.runtime import jt

#: Neighbours in a row that are looked up together.
_BLOCK = 16

#: in0: x (N, C, h, w); in1: table (2, C, K); in2: index (N, H, W); in3: block (N, H, ceil(W / _BLOCK)), the index
#: that as many neighbours share, or -1. `ECGAN_WIDE` is a row of x at full width.
_HEADER = (
    f"#define ECGAN_BLOCK int64({_BLOCK})"
    + """
#include <algorithm>
#include <vector>
#define ECGAN_SIZES \\
    const int64 channels = in0_shape1, h = in0_shape2, w = in0_shape3, entries = in1_shape2; \\
    const int64 full_h = in2_shape1, full_w = in2_shape2, blocks = in3_shape2, factor = full_h / h; \\
    const float slope = data["slope"];
#define ECGAN_WIDE(row) \\
    if (factor == 1) wide = x + (row) * w; \\
    else if ((row) % factor == 0) { \\
        const float* narrow = x + (row) / factor * w; \\
        for (int64 i = 0; i < w; i++) buffer[2 * i] = buffer[2 * i + 1] = narrow[i]; \\
        wide = buffer.data(); \\
    }
// What a leaky ReLU lets through of a gradient, by what it gave.
static inline float through(float gradient, float result, float slope) {
    return result > 0 ? gradient : gradient * slope;
}
"""
)

_FORWARD = """
    ECGAN_SIZES
    #pragma omp parallel for
    for (int64 plane = 0; plane < in0_shape0 * channels; plane++) {
        const int64 n = plane / channels, c = plane % channels;
        const float *x = in0_p + plane * h * w, *wide = x;
        const float *scale = in1_p + c * entries, *shift = in1_p + (channels + c) * entries;
        std::vector<float> buffer(full_w);
        for (int64 row = 0; row < full_h; row++) {
            ECGAN_WIDE(row)
            const int* shared = in3_p + (n * full_h + row) * blocks;
            const int* index = in2_p + (n * full_h + row) * full_w;
            float* y = out0_p + (plane * full_h + row) * full_w;
            for (int64 b = 0; b < blocks; b++) {
                const int64 first = b * ECGAN_BLOCK, last = std::min(first + ECGAN_BLOCK, full_w);
                if (shared[b] >= 0) {
                    const float by = scale[shared[b]], plus = shift[shared[b]];
                    for (int64 i = first; i < last; i++) {
                        const float value = wide[i] * by + plus;
                        y[i] = std::max(value, value * slope);
                    }
                } else
                    for (int64 i = first; i < last; i++) {
                        const float value = wide[i] * scale[index[i]] + shift[index[i]];
                        y[i] = std::max(value, value * slope);
                    }
            }
        }
    }
"""

_BACKWARD_OF_X = """
    ECGAN_SIZES
    #pragma omp parallel for
    for (int64 plane = 0; plane < in0_shape0 * channels; plane++) {
        const int64 n = plane / channels, c = plane % channels;
        const float* scale = in1_p + c * entries;
        std::vector<float> sum(full_w);
        for (int64 row = 0; row < full_h; row++) {
            const int* index = in2_p + (n * full_h + row) * full_w;
            const float *y = pout_p + (plane * full_h + row) * full_w, *dy = dout_p + (plane * full_h + row) * full_w;
            float* dx = out0_p + (plane * h + row / factor) * w;
            if (factor == 1)
                for (int64 i = 0; i < full_w; i++) dx[i] = through(dy[i], y[i], slope) * scale[index[i]];
            else {
                if (row % factor == 0) std::fill(sum.begin(), sum.end(), 0.0f);
                for (int64 i = 0; i < full_w; i++) sum[i] += through(dy[i], y[i], slope) * scale[index[i]];
                if (row % factor == 1)
                    for (int64 i = 0; i < w; i++) dx[i] = sum[2 * i] + sum[2 * i + 1];
            }
        }
    }
"""

_BACKWARD_OF_TABLE = """
    ECGAN_SIZES
    #pragma omp parallel for
    for (int64 c = 0; c < channels; c++) {
        float *dscale = out0_p + c * entries, *dshift = out0_p + (channels + c) * entries;
        std::fill(dscale, dscale + entries, 0.0f);
        std::fill(dshift, dshift + entries, 0.0f);
        std::vector<float> buffer(full_w);
        for (int64 n = 0; n < in0_shape0; n++) {
            const int64 plane = n * channels + c;
            const float *x = in0_p + plane * h * w, *wide = x;
            for (int64 row = 0; row < full_h; row++) {
                ECGAN_WIDE(row)
                const int* shared = in3_p + (n * full_h + row) * blocks;
                const int* index = in2_p + (n * full_h + row) * full_w;
                const float* y = pout_p + (plane * full_h + row) * full_w;
                const float* dy = dout_p + (plane * full_h + row) * full_w;
                for (int64 b = 0; b < blocks; b++) {
                    const int64 first = b * ECGAN_BLOCK, last = std::min(first + ECGAN_BLOCK, full_w);
                    if (shared[b] >= 0) {
                        float of_scale = 0, of_shift = 0;
                        for (int64 i = first; i < last; i++) {
                            const float passed = through(dy[i], y[i], slope);
                            of_scale += passed * wide[i];
                            of_shift += passed;
                        }
                        dscale[shared[b]] += of_scale;
                        dshift[shared[b]] += of_shift;
                    } else
                        for (int64 i = first; i < last; i++) {
                            const float passed = through(dy[i], y[i], slope);
                            dscale[index[i]] += passed * wide[i];
                            dshift[index[i]] += passed;
                        }
                }
            }
        }
    }
"""


class Lookup:
    """Which column of a table each pixel takes: `index` (N, H, W)."""

    def __init__(self, index: np.ndarray) -> None:
        count, height, width = index.shape
        self._index = jt.array(index.astype(np.int32)).stop_grad()
        filled = np.pad(index, ((0, 0), (0, 0), (0, -width % _BLOCK)), mode="edge")
        blocks = filled.reshape(count, height, -1, _BLOCK)
        shared = np.where((blocks == blocks[..., :1]).all(axis=3), blocks[..., 0], -1)
        self._shared = jt.array(shared.astype(np.int32)).stop_grad()

    def __call__(self, table: jt.Var) -> jt.Var:
        """(C, K) -> (N, C, H, W)."""
        count, height, width = self._index.shape
        return table.reindex([count, table.shape[0], height, width], ["i1", "@e0(i0,i2,i3)"], extras=[self._index])

    def modulate(self, x: jt.Var, table: jt.Var, activated: bool) -> jt.Var:
        """x * scale + shift, and a leaky ReLU behind it if `activated`.

        `x`: (N, C, H, W), or half as high and wide, and it is doubled; `table`: (2, C, K), scale and shift.
        """
        if jt.flags.use_cuda:
            return self.as_operators(x, table, activated)
        count, height, width = self._index.shape
        return jt.code(
            [count, x.shape[1], height, width],
            "float32",
            [x, table, self._index, self._shared],
            cpu_header=_HEADER,
            cpu_src=_FORWARD,
            cpu_grad_src=[_BACKWARD_OF_X, _BACKWARD_OF_TABLE],
            data={"slope": LRELU_SLOPE if activated else 1.0},
        )

    def as_operators(self, x: jt.Var, table: jt.Var, activated: bool) -> jt.Var:
        """The same in Jittor's operators, on any device."""
        if x.shape[2] != self._index.shape[1]:
            x = upsample(x)
        y = x * self(table[0]) + self(table[1])
        return lrelu(y) if activated else y
