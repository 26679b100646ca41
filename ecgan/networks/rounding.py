"""Matrix products and convolutions that round in one way, however many threads compute them.

oneDNN chooses by the number of threads how it cuts the work, and with it, here and there, in which order it adds up:
the last bits of a picture would depend on how many cores its worker has. So what is computed here without gradients on
the CPU has the bits of one thread. Of gradients nothing like that is promised, and on a GPU neither: there, these are
Jittor's own.
"""

from __future__ import annotations

from ecgan.runtime import jt, nn
from ecgan.runtime.toolchain import find_onednn

_HEADER = """
#include <algorithm>
#include <cstring>
#include <dnnl.hpp>
#include <omp.h>
"""

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

#: oneDNN adds up in another order only where it lays out the weights for another number of channels at a time, or
#: leaves the sum to a matrix product. Of 3,230 pairs of shapes and threads no other differed.
_CONVOLUTION = """
    using namespace dnnl;
    struct Threads {
        const int given = omp_get_max_threads();
        ~Threads() { omp_set_num_threads(given); }
    } threads;
    static const engine cpu(engine::kind::cpu, 0);
    stream queue(cpu);
    const memory::dims of_x{in0_shape0, in0_shape1, in0_shape2, in0_shape3};
    const memory::dims of_weight{in1_shape0, in1_shape1, in1_shape2, in1_shape3};
    const memory::dims of_y{out0_shape0, out0_shape1, out0_shape2, out0_shape3};
    const memory::dims strides(2, (int64_t)data["stride"]), padding(2, (int64_t)data["padding"]);
    const auto laid_out = [](const memory::dims& shape, memory::format_tag how) {
        return memory::desc(shape, memory::data_type::f32, how);
    };
    const auto plan_for = [&](int count) {
        omp_set_num_threads(count);
        const auto any = memory::format_tag::any;
        return convolution_forward::primitive_desc(
            {prop_kind::forward_inference, algorithm::convolution_auto, laid_out(of_x, any), laid_out(of_weight, any),
             laid_out(of_y, any), strides, padding, padding}, cpu);
    };
    const auto of_one = plan_for(1);
    const auto adds_like_one = [&](const convolution_forward::primitive_desc& plan) {
        return plan.weights_desc() == of_one.weights_desc() && !strcmp(plan.impl_info_str(), of_one.impl_info_str());
    };
    int count = strstr(of_one.impl_info_str(), "gemm") ? 1 : threads.given;
    auto plan = count == 1 ? of_one : plan_for(count);
    while (!adds_like_one(plan)) plan = plan_for(--count);

    const auto rearranged = [&](const memory& from, const memory::desc& wanted) {
        if (from.get_desc() == wanted) return from;
        memory to(wanted, cpu);
        reorder(from, to).execute(queue, const_cast<memory&>(from), to);
        return to;
    };
    const auto rows = memory::format_tag::abcd;
    const memory x(laid_out(of_x, rows), cpu, in0_p), weight(laid_out(of_weight, rows), cpu, in1_p);
    memory y(laid_out(of_y, rows), cpu, out0_p);
    const bool in_place = plan.dst_desc() == y.get_desc();
    memory result = in_place ? y : memory(plan.dst_desc(), cpu);
    convolution_forward(plan).execute(queue, {{DNNL_ARG_SRC, rearranged(x, plan.src_desc())},
                                              {DNNL_ARG_WEIGHTS, rearranged(weight, plan.weights_desc())},
                                              {DNNL_ARG_DST, result}});
    if (!in_place) reorder(result, y).execute(queue, result, y);
    queue.wait();
"""


def matmul(a: jt.Var, b: jt.Var) -> jt.Var:
    """(M, K) times (K, N), float32."""
    if not _one_way():
        return jt.matmul(a, b)
    return _operator([a.shape[0], b.shape[1]], [a, b], _MATMUL)


def conv2d(x: jt.Var, weight: jt.Var, bias: jt.Var | None = None, stride: int = 1, padding: int = 0) -> jt.Var:
    """(N, C, H, W) and (F, C, k, k) -> (N, F, …), float32."""
    if not _one_way():
        return nn.conv2d(x, weight, bias, stride, padding)
    height, width = ((length + 2 * padding - weight.shape[2]) // stride + 1 for length in x.shape[2:])
    shape = [x.shape[0], weight.shape[0], height, width]
    y = _operator(shape, [x, weight], _CONVOLUTION, stride=stride, padding=padding)
    return y if bias is None else y + bias.broadcast(y, [0, 2, 3])


def _one_way() -> bool:
    return bool(jt.flags.no_grad) and not jt.flags.use_cuda


def _operator(shape: list[int], inputs: list[jt.Var], source: str, **data: int) -> jt.Var:
    found = find_onednn()
    assert found is not None, "Jittor has started, so oneDNN is there"
    operator = jt.code(shape, "float32", inputs, cpu_header=_HEADER, cpu_src=source, data=data)
    operator.compile_options = {f'FLAGS: -I"{found[0]}" ': 1}
    return operator
