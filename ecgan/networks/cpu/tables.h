// SPADE's tables: scale and shift of each distinct surrounding in the masks.
#pragma once
#include "product.h"

namespace ecgan {

//: What a 3x3 convolution makes of one-hot labels (M, 9), of which those of `classes` and more lie outside the frame:
//: bias plus, for each tap, its weights for the label; weights (9, classes, features). And a ReLU if `cut`.
static void see(int64_t count, int64_t features, int64_t classes, const int* labels, const float* weights,
                const float* bias, bool cut, float* seen) {
    #pragma omp parallel for
    for (int64_t m = 0; m < count; m++)
        for (int64_t f = 0; f < features; f += LANES) {
            vec sum = load(bias + f);
            for (int64_t tap = 0; tap < 9; tap++) {
                const int64_t label = labels[m * 9 + tap];
                if (label < classes) sum += load(weights + (tap * classes + label) * features + f);
            }
            save(seen + m * features + f, cut ? (sum > 0 ? sum : vec{}) : sum);
        }
}

//: From how many rows on a product for each tap and inner surrounding would take too much memory.
constexpr int64_t MOST_BY_TAP = 8192;
constexpr int64_t ROWS_AT_A_TIME = 16 * ROWS;

//: A 3x3 convolution of `hidden` (M, inner), the inner surroundings, seen from each of `outer` (K, 9), M standing for
//: what is outside the frame: sums (K, width) of one panel (9, inner, width).
static void convolve_surroundings(int64_t count, int64_t inner_count, int64_t inner, const int* outer,
                                  const float* hidden, const float* panel, int64_t width, float* by_tap, float* sums) {
    if (by_tap) {  // most inner surroundings are seen by several: each is multiplied once, and the products are added up
        const int64_t cuts = (inner_count + ROWS_AT_A_TIME - 1) / ROWS_AT_A_TIME;
        #pragma omp parallel for collapse(2) schedule(dynamic)
        for (int64_t tap = 0; tap < 9; tap++)
            for (int64_t cut = 0; cut < cuts; cut++) {
                const int64_t first = cut * ROWS_AT_A_TIME, some = std::min(ROWS_AT_A_TIME, inner_count - first);
                multiply(some, hidden + first * inner, inner, panel + tap * inner * width, width, inner,
                         by_tap + (tap * inner_count + first) * width, width);
            }
        #pragma omp parallel for
        for (int64_t k = 0; k < count; k++)
            for (int64_t f = 0; f < width; f += LANES) {
                vec sum = {};
                for (int64_t tap = 0; tap < 9; tap++)
                    if (outer[k * 9 + tap] < inner_count)
                        sum += load(by_tap + (tap * inner_count + outer[k * 9 + tap]) * width + f);
                save(sums + k * width + f, sum);
            }
    } else {
        #pragma omp parallel for schedule(dynamic)
        for (int64_t first = 0; first < count; first += ROWS_AT_A_TIME) {
            const int64_t some = std::min(ROWS_AT_A_TIME, count - first);
            Buffer gathered = buffer(some * 9 * inner);
            for (int64_t place = 0; place < some * 9; place++) {
                const int64_t m = outer[first * 9 + place];
                if (m < inner_count)
                    std::memcpy(gathered.get() + place * inner, hidden + m * inner, inner * sizeof(float));
                else
                    std::memset(gathered.get() + place * inner, 0, inner * sizeof(float));
            }
            multiply(some, gathered.get(), 9 * inner, panel, width, 9 * inner, sums + first * width, width);
        }
    }
}

//: table (K, 2, channels): scale = (1 + gamma) * rate, shift = beta - mean * scale. `gamma`, `beta`: for each panel of
//: channels (9, inner, width). `constants` (4, channels): their biases, rate and mean.
static void tabulate(int64_t count, int64_t inner_count, int64_t inner, int64_t channels, const int* outer,
                     const float* hidden, const float* gamma, const float* beta, const float* constants, float* table) {
    const bool tap_by_tap = 2 * inner_count < count && inner_count <= MOST_BY_TAP;
    const int64_t panels = (channels + PANEL - 1) / PANEL;
    // A panel is one thread's, or all share each: threads that wait for each other at every step are slow company.
    #pragma omp parallel for schedule(dynamic) if (panels >= omp_get_max_threads())
    for (int64_t panel = 0; panel < panels; panel++) {
        const int64_t first = panel * PANEL, width = panel_width(channels, first);
        const Buffer by_tap = buffer(tap_by_tap ? 9 * inner_count * width : 0);
        const Buffer scales = buffer(count * width), shifts = buffer(count * width);
        for (int half = 0; half < 2; half++)
            convolve_surroundings(count, inner_count, inner, outer, hidden, (half ? beta : gamma) + first * 9 * inner,
                                  width, tap_by_tap ? by_tap.get() : nullptr, half ? shifts.get() : scales.get());
        #pragma omp parallel for
        for (int64_t k = 0; k < count; k++)
            for (int64_t f = 0; f < width; f += LANES) {
                const float* of = constants + first + f;
                const vec scale = (1.f + load(scales.get() + k * width + f) + load(of)) * load(of + 2 * channels);
                const vec shift = load(shifts.get() + k * width + f) + load(of + channels);
                save(table + k * 2 * channels + first + f, scale);
                save(table + (k * 2 + 1) * channels + first + f, shift - load(of + 3 * channels) * scale);
            }
    }
}

}  // namespace ecgan
