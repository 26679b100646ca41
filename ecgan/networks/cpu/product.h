// Matrix products of one thread, whose every sum runs from the first summand to the last.
#pragma once
#include "vectors.h"

namespace ecgan {

//: The second factor is cut into panels of so many columns; each is stored as (inner, its columns), one behind another.
constexpr int64_t PANEL = LANES == 16 ? 64 : 16;
//: Rows of the first factor that are multiplied at a time: with a panel's columns, as many sums as registers hold.
constexpr int ROWS = 6;

static inline int64_t panel_width(int64_t columns, int64_t first) { return std::min(PANEL, columns - first); }

//: sums (HEIGHT, VECTORS * LANES) = a (HEIGHT, inner) * panel (inner, VECTORS * LANES), or added to them if `onto`.
//: TRANSPOSED: a is (inner, HEIGHT). A row of a and of the panel is `a_stride` and `panel_stride` behind the one before.
template <int HEIGHT, int VECTORS, bool TRANSPOSED>
static inline void product(const float* a, int64_t a_stride, const float* panel, int64_t panel_stride, int64_t inner,
                           float* sums, int64_t stride, bool onto) {
    vec sum[HEIGHT][VECTORS] = {};
    if (onto)
        for (int r = 0; r < HEIGHT; r++)
            for (int v = 0; v < VECTORS; v++) sum[r][v] = load(sums + r * stride + v * LANES);
    for (int64_t k = 0; k < inner; k++, panel += TRANSPOSED ? panel_stride : VECTORS * LANES) {
        vec row[VECTORS];
        for (int v = 0; v < VECTORS; v++) row[v] = load(panel + v * LANES);
        for (int r = 0; r < HEIGHT; r++)
            for (int v = 0; v < VECTORS; v++)
                sum[r][v] = multiply_add(row[v], a[TRANSPOSED ? k * a_stride + r : r * a_stride + k], sum[r][v]);
    }
    for (int r = 0; r < HEIGHT; r++)
        for (int v = 0; v < VECTORS; v++) save(sums + r * stride + v * LANES, sum[r][v]);
}

template <int VECTORS, bool TRANSPOSED>
static void rows_by_panel(int64_t rows, const float* a, int64_t a_stride, const float* panel, int64_t panel_stride,
                          int64_t inner, float* sums, int64_t stride, bool onto) {
    const int64_t a_row = TRANSPOSED ? 1 : a_stride;
    for (; rows >= ROWS; rows -= ROWS, a += ROWS * a_row, sums += ROWS * stride)
        product<ROWS, VECTORS, TRANSPOSED>(a, a_stride, panel, panel_stride, inner, sums, stride, onto);
    for (; rows >= 2; rows -= 2, a += 2 * a_row, sums += 2 * stride)
        product<2, VECTORS, TRANSPOSED>(a, a_stride, panel, panel_stride, inner, sums, stride, onto);
    if (rows) product<1, VECTORS, TRANSPOSED>(a, a_stride, panel, panel_stride, inner, sums, stride, onto);
}

template <bool TRANSPOSED>
static void any_rows_by_panel(int64_t rows, const float* a, int64_t a_stride, const float* panel, int64_t panel_stride,
                              int64_t width, int64_t inner, float* sums, int64_t stride, bool onto) {
    switch (width / LANES) {
        case 1: return rows_by_panel<1, TRANSPOSED>(rows, a, a_stride, panel, panel_stride, inner, sums, stride, onto);
        case 2: return rows_by_panel<2, TRANSPOSED>(rows, a, a_stride, panel, panel_stride, inner, sums, stride, onto);
        case 3: return rows_by_panel<3, TRANSPOSED>(rows, a, a_stride, panel, panel_stride, inner, sums, stride, onto);
        case 4: return rows_by_panel<4, TRANSPOSED>(rows, a, a_stride, panel, panel_stride, inner, sums, stride, onto);
    }
}

//: sums (rows, width) = a (rows, inner) * panel (inner, width), or added to them; width: a multiple of BLOCK.
static inline void multiply(int64_t rows, const float* a, int64_t a_stride, const float* panel, int64_t width,
                            int64_t inner, float* sums, int64_t stride, bool onto = false) {
    any_rows_by_panel<false>(rows, a, a_stride, panel, width, width, inner, sums, stride, onto);
}

//: The same of a (inner, rows); rows of the panel are `panel_stride` apart, those of the sums `width`.
static inline void multiply_transposed(int64_t rows, const float* a, int64_t a_stride, const float* panel,
                                       int64_t panel_stride, int64_t width, int64_t inner, float* sums, bool onto) {
    any_rows_by_panel<true>(rows, a, a_stride, panel, panel_stride, width, inner, sums, width, onto);
}

//: weights, of which the one for feature f, outer o and inner i is at f * of_feature + o * of_outer + i * of_inner ->
//: panels of features, each (padded_outer, inner, width), with zeros where features or outer ones are missing.
static void pack(const float* weights, int64_t features, int64_t of_feature, int64_t outer, int64_t of_outer,
                 int64_t inner, int64_t of_inner, int64_t padded_features, int64_t padded_outer, float* panels) {
    #pragma omp parallel for schedule(dynamic)
    for (int64_t first = 0; first < padded_features; first += PANEL) {
        const int64_t width = panel_width(padded_features, first);
        float* to = panels + first * padded_outer * inner;
        for (int64_t o = 0; o < padded_outer; o++)
            for (int64_t i = 0; i < inner; i++, to += width)
                for (int64_t f = 0; f < width; f++) {
                    const bool missing = o >= outer || first + f >= features;
                    to[f] = missing ? 0 : weights[(first + f) * of_feature + o * of_outer + i * of_inner];
                }
    }
}

}  // namespace ecgan
