// Convolutions of oneDNN's, each planned and made once for its shape, and kept for good. Each has the bits that one
// thread gives it.
#pragma once
#include <array>
#include <cstring>
#include <functional>
#include <initializer_list>
#include <map>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <dnnl.h>
#include <omp.h>
#include "vectors.h"

namespace ecgan {

static inline void insist(dnnl_status_t status) {
    if (status != dnnl_success) throw std::runtime_error("oneDNN refused, with status " + std::to_string(status));
}

static dnnl_engine_t processor() {
    static const dnnl_engine_t made = [] {
        dnnl_engine_t engine;
        insist(dnnl_engine_create(&engine, dnnl_cpu, 0));
        return engine;
    }();
    return made;
}

//: As many threads as are told, while it lives.
struct Threads {
    const int before = omp_get_max_threads();
    explicit Threads(int count) { omp_set_num_threads(count); }
    ~Threads() { omp_set_num_threads(before); }
};

//: Where a map or weights lie, and how.
struct Memory {
    dnnl_memory_t of = nullptr;
    Memory(const dnnl_memory_desc_t& layout, const void* data) {
        insist(dnnl_memory_create(&of, &layout, processor(), const_cast<void*>(data)));
    }
    ~Memory() { dnnl_memory_destroy(of); }
    Memory(const Memory&) = delete;
};

static inline Buffer buffer_for(const dnnl_memory_desc_t& layout) {
    return buffer((dnnl_memory_desc_get_size(&layout) + sizeof(float) - 1) / sizeof(float));
}

static dnnl_status_t execute(dnnl_primitive_t primitive, std::initializer_list<std::pair<int, const Memory*>> of) {
    dnnl_exec_arg_t arguments[4];
    int count = 0;
    for (const auto& each : of) arguments[count++] = {each.first, each.second->of};
    dnnl_stream_t stream;
    dnnl_status_t status = dnnl_stream_create(&stream, processor(), dnnl_stream_default_flags);
    if (status != dnnl_success) return status;
    status = dnnl_primitive_execute(primitive, stream, count, arguments);
    dnnl_stream_destroy(stream);
    return status;
}

//: A convolution's shape: `above` and `beside` are rows and columns of zeros around a map. `rounded`: map and weights are
//: bfloat16, and the map lies in channels last, as the result does in float32; else all is float32, laid out as is best.
struct Shape {
    int64_t images, channels, height, width, features, side, stride, above, beside;
    bool rounded;

    std::array<int64_t, 10> all() const {
        return {images, channels, height, width, features, side, stride, above, beside, rounded};
    }
    int64_t new_height() const { return (height + 2 * above - side) / stride + 1; }
    int64_t new_width() const { return (width + 2 * beside - side) / stride + 1; }
};

static dnnl_memory_desc_t laid_out(std::array<dnnl_dim_t, 4> shape, dnnl_data_type_t type, dnnl_format_tag_t how) {
    dnnl_memory_desc_t layout;
    insist(dnnl_memory_desc_init_by_tag(&layout, 4, shape.data(), type, how));
    return layout;
}

//: How so many threads compute a convolution; what they need beside its maps is given to it (`scratch`), so that any
//: thread may.
struct Plan {
    int threads;
    dnnl_primitive_desc_t description;
    const dnnl_memory_desc_t &x, &weights, &y, &scratch;

    Plan(const Shape& shape, int threads) : Plan(threads, described(shape, threads)) {}

    const char* way() const {
        const char* words = nullptr;
        insist(dnnl_primitive_desc_query(description, dnnl_query_impl_info_str, 0, &words));
        return words;
    }
    //: oneDNN adds up in another order only where it lays out the weights for another number of channels at a time, or
    //: leaves the sum to a matrix product. Of 3,230 pairs of shapes and threads no other differed.
    bool adds_like(const Plan& other) const {
        return dnnl_memory_desc_equal(&weights, &other.weights) && !strcmp(way(), other.way());
    }

private:
    Plan(int threads, dnnl_primitive_desc_t description)
        : threads(threads), description(description), x(of(dnnl_query_src_md)), weights(of(dnnl_query_weights_md)),
          y(of(dnnl_query_dst_md)), scratch(of(dnnl_query_scratchpad_md)) {}

    const dnnl_memory_desc_t& of(dnnl_query_t what) const {
        return *dnnl_primitive_desc_query_md(description, what, 0);
    }
    static dnnl_primitive_desc_t described(const Shape& of, int threads) {
        const Threads counted(threads);
        const auto any = dnnl_format_tag_any, maps = of.rounded ? dnnl_nhwc : any;
        const auto type = of.rounded ? dnnl_bf16 : dnnl_f32;
        const auto x = laid_out({of.images, of.channels, of.height, of.width}, type, maps);
        const auto weights = laid_out({of.features, of.channels, of.side, of.side}, type, any);
        const auto y = laid_out({of.images, of.features, of.new_height(), of.new_width()}, dnnl_f32, maps);
        const dnnl_dim_t strides[] = {of.stride, of.stride}, padding[] = {of.above, of.beside};
        dnnl_convolution_desc_t convolution;
        insist(dnnl_convolution_forward_desc_init(&convolution, dnnl_forward_inference, dnnl_convolution_auto, &x,
                                                  &weights, nullptr, &y, strides, padding, padding));
        dnnl_primitive_attr_t attributes;
        insist(dnnl_primitive_attr_create(&attributes));
        insist(dnnl_primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user));
        dnnl_primitive_desc_t description;
        insist(dnnl_primitive_desc_create(&description, &convolution, attributes, processor(), nullptr));
        dnnl_primitive_attr_destroy(attributes);
        return description;
    }
};

struct Convolution {
    Plan plan;
    dnnl_primitive_t primitive;

    explicit Convolution(const Plan& plan) : plan(plan) {
        const Threads counted(plan.threads);
        insist(dnnl_primitive_create(&primitive, plan.description));
    }
    //: By as many threads as it was planned for; within a parallel region by the one that calls.
    dnnl_status_t operator()(const Memory& x, const Memory& weights, const Memory& y, const Memory& scratch) const {
        return execute(primitive, {{DNNL_ARG_SRC, &x}, {DNNL_ARG_WEIGHTS, &weights}, {DNNL_ARG_DST, &y},
                                   {DNNL_ARG_SCRATCHPAD, &scratch}});
    }
};

//: With as many threads as may be for the sums of one.
static const Convolution& convolution(const Shape& shape, int threads) {
    static std::map<std::pair<std::array<int64_t, 10>, int>, Convolution> kept;
    const auto key = std::make_pair(shape.all(), threads);
    const auto found = kept.find(key);
    if (found != kept.end()) return found->second;
    const Plan of_one(shape, 1);
    int count = strstr(of_one.way(), "gemm") ? 1 : threads;
    while (count > 1) {
        const Plan plan(shape, count);
        if (plan.adds_like(of_one)) return kept.emplace(key, Convolution(plan)).first->second;
        dnnl_primitive_desc_destroy(plan.description);
        count--;
    }
    return kept.emplace(key, Convolution(of_one)).first->second;
}

static void rearrange(const dnnl_memory_desc_t& from, const void* data, const dnnl_memory_desc_t& to, void* arranged) {
    dnnl_primitive_desc_t description;
    dnnl_primitive_t reorder;
    insist(dnnl_reorder_primitive_desc_create(&description, &from, processor(), &to, processor(), nullptr));
    insist(dnnl_primitive_create(&reorder, description));
    const Memory before(from, data), behind(to, arranged);
    const dnnl_status_t status = execute(reorder, {{DNNL_ARG_FROM, &before}, {DNNL_ARG_TO, &behind}});
    dnnl_primitive_destroy(reorder);
    dnnl_primitive_desc_destroy(description);
    insist(status);
}

//: Of float32 in planes: x (images, channels, height, width), weights (features, channels, side, side).
static void convolve_by_onednn(const Shape& of, const float* x, const float* weights, float* y) {
    const Convolution& made = convolution(of, omp_get_max_threads());
    const Threads counted(made.plan.threads);
    const auto planes = [](int64_t a, int64_t b, int64_t c, int64_t d) {
        return laid_out({a, b, c, d}, dnnl_f32, dnnl_nchw);
    };
    const auto arranged = [](const dnnl_memory_desc_t& is, const float* data, const dnnl_memory_desc_t& wanted) {
        Buffer to;
        if (!dnnl_memory_desc_equal(&is, &wanted)) rearrange(is, data, wanted, (to = buffer_for(wanted)).get());
        return to;
    };
    const Plan& plan = made.plan;
    const auto of_y = planes(of.images, of.features, of.new_height(), of.new_width());
    const Buffer own_x = arranged(planes(of.images, of.channels, of.height, of.width), x, plan.x);
    const Buffer own_weights = arranged(planes(of.features, of.channels, of.side, of.side), weights, plan.weights);
    const bool in_place = dnnl_memory_desc_equal(&of_y, &plan.y);
    const Buffer own_y = in_place ? Buffer() : buffer_for(plan.y), scratch = buffer_for(plan.scratch);
    insist(made({plan.x, own_x ? own_x.get() : x}, {plan.weights, own_weights ? own_weights.get() : weights},
                {plan.y, in_place ? y : own_y.get()}, {plan.scratch, scratch.get()}));
    if (!in_place) rearrange(plan.y, own_y.get(), of_y, y);
}

}  // namespace ecgan
