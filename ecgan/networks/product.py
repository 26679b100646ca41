"""Matrix products that round in one way, however many threads compute them.

oneDNN cuts a product into as many parts as there are threads, along the dimension that is summed, too, where
that suits their number: then the last bits of a picture would depend on the cores that its worker has.
"""

from __future__ import annotations

from ecgan.runtime import jt

_HEADER = """
#include <algorithm>
// Of oneDNN, whose library is loaded; 0 if all went well.
extern "C" int dnnl_sgemm(char, char, int64_t, int64_t, int64_t, float, const float*, int64_t, const float*, int64_t,
                          float, float*, int64_t);
"""

#: Every block is one thread's, from its first summand to its last. Larger ones are hardly faster.
_SOURCE = """
    const int64_t rows = in0_shape0, inner = in0_shape1, columns = in1_shape1, of_rows = 128, of_columns = 512;
    int failed = 0;
    #pragma omp parallel for collapse(2) schedule(dynamic) reduction(|: failed)
    for (int64_t row = 0; row < rows; row += of_rows)
        for (int64_t column = 0; column < columns; column += of_columns)
            failed |= dnnl_sgemm('N', 'N', std::min(of_rows, rows - row), std::min(of_columns, columns - column), inner,
                                 1.0f, in0_p + row * inner, inner, in1_p + column, columns,
                                 0.0f, out0_p + row * columns + column, columns);
    if (failed) LOGf << "oneDNN could not multiply the matrices";
"""


def matmul(a: jt.Var, b: jt.Var) -> jt.Var:
    """(M, K) times (K, N), float32. On the CPU, and where no gradient is wanted, its bits are those of one thread."""
    if jt.flags.use_cuda or not jt.flags.no_grad:
        return jt.matmul(a, b)
    return jt.code([a.shape[0], b.shape[1]], "float32", [a, b], cpu_header=_HEADER, cpu_src=_SOURCE)
