// How the painter's convolutions read and write their maps, (N, H, W, channels), channels filled up with zeros to a
// multiple of BLOCK.
#pragma once
#include "elementwise.h"

namespace ecgan {

//: SPADE and a leaky ReLU: x * scale + shift, by the pixel's entry of `table` (K, 2, channels). x is doubled if `shift` is 1.
struct Modulated {
    const float *x, *table;
    const int* index;  // (N, height, width)
    int64_t height, width, channels;
    int shift;
    float slope;

    vec at(const float* pixel, int entry, int64_t channel) const {
        const float* scale = table + entry * 2 * channels + channel;
        return leaky(load(pixel + channel) * load(scale) + load(scale + channels), slope);
    }
    void operator()(int64_t image, int64_t row, int64_t column, int64_t count, int64_t channel, float* to) const {
        const float* line = x + (image * (height >> shift) + (row >> shift)) * (width >> shift) * channels;
        const int* entry = index + (image * height + row) * width + column;
        for (int64_t i = 0; i < count; i++)
            save(to + i * LANES, at(line + ((column + i) >> shift) * channels, entry[i], channel));
    }
};

//: Some of the channels of a map that has `stride` of them; null if there is none.
struct Piece {
    const float* map;
    int64_t stride, channels;
};

//: A leaky ReLU of several pieces one behind another; `gate`, as wide as the first, gates it before; `factor` (N, all
//: channels) multiplies behind.
struct Activated {
    Piece pieces[3], gate;
    const float* factor;
    int64_t height, width, channels;
    float slope;

    void operator()(int64_t image, int64_t row, int64_t column, int64_t count, int64_t channel, float* to) const {
        const Piece* piece = pieces;
        int64_t within = channel;
        while (within >= piece->channels) within -= (piece++)->channels;
        const int64_t first = (image * height + row) * width + column;
        const float* from = piece->map + first * piece->stride + within;
        const float* attention = gate.map && piece == pieces ? gate.map + first * gate.stride + within : nullptr;
        const vec times = factor ? load(factor + image * channels + channel) : vec{} + 1.f;
        for (int64_t i = 0; i < count; i++) {
            vec value = load(from + i * piece->stride);
            if (attention) value = gated(value, load(attention + i * gate.stride));
            save(to + i * LANES, leaky(value, slope) * times);
        }
    }
};

//: Adds `bias` (features), and `rows` (any number, features), each pixel the one that `at` (N, height, width) tells;
//: then tanh if `bounded`; then it is gated.
struct Written {
    float* y;
    const float *bias, *rows;
    const int* at;
    Piece gate;
    bool bounded;
    int64_t height, width, features;

    void operator()(int64_t image, int64_t row, int64_t column, int64_t count, int64_t feature, const float* from) const {
        const int64_t first = (image * height + row) * width + column;
        const vec plus = load(bias + feature);
        for (int64_t i = 0; i < count; i++) {
            vec value = load(from + i * LANES) + plus;
            if (rows) value += load(rows + at[first + i] * features + feature);
            if (bounded) value = hyperbolic_tangent(value);
            if (gate.map) value = gated(value, load(gate.map + (first + i) * gate.stride + feature));
            save(y + (first + i) * features + feature, value);
        }
    }
};

}  // namespace ecgan
