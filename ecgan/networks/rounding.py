"""Matrix products and convolutions that round in one way, however many threads compute them.

oneDNN chooses by the number of threads how it cuts the work, and with it, here and there, in which order it adds up:
the last bits of a picture would depend on how many cores its worker has. So what is computed here without gradients on
the CPU has the bits of one thread. Of gradients nothing like that is promised, and on a GPU neither: there, these are
Jittor's own.
"""

from __future__ import annotations

from ecgan.networks.cpu.code import operator
from ecgan.runtime import jt, nn

#: Every block is one thread's, from its first summand to its last. Larger ones are hardly faster.
_MATMUL = """
    const int64_t rows = in0_shape0, inner = in0_shape1, columns = in1_shape1, of_rows = 128, of_columns = 512;
    int failed = 0;
    #pragma omp parallel for collapse(2) schedule(dynamic) reduction(|: failed)
    for (int64_t row = 0; row < rows; row += of_rows)
        for (int64_t column = 0; column < columns; column += of_columns)
            failed |= dnnl_sgemm('N', 'N', std::min(of_rows, rows - row), std::min(of_columns, columns - column), inner,
                                 1.0f, in0_p + row * inner, inner, in1_p + column, columns,
                                 0.0f, out0_p + row * columns + column, columns);
    if (failed) throw std::bad_alloc();
"""

_CONVOLUTION = """
    const int64_t stride = data["stride"], padding = data["padding"];
    ecgan::convolve_by_onednn({in0_shape0, in0_shape1, in0_shape2, in0_shape3, in1_shape0, in1_shape2, stride, padding,
                              padding, false}, in0_p, in1_p, out0_p);
"""


def matmul(a: jt.Var, b: jt.Var) -> jt.Var:
    """(M, K) times (K, N), float32."""
    if not _one_way():
        return jt.matmul(a, b)
    return operator([a.shape[0], b.shape[1]], [a, b], _MATMUL, "onednn")


def conv2d(x: jt.Var, weight: jt.Var, bias: jt.Var | None = None, stride: int = 1, padding: int = 0) -> jt.Var:
    """(N, C, H, W) and (F, C, k, k) -> (N, F, …), float32."""
    if not _one_way():
        return nn.conv2d(x, weight, bias, stride, padding)
    height, width = ((length + 2 * padding - weight.shape[2]) // stride + 1 for length in x.shape[2:])
    shape = [x.shape[0], weight.shape[0], height, width]
    y = operator(shape, [x, weight], _CONVOLUTION, "onednn", stride=stride, padding=padding)
    return y if bias is None else y + bias.broadcast(y, [0, 2, 3])


def _one_way() -> bool:
    return bool(jt.flags.no_grad) and not jt.flags.use_cuda
