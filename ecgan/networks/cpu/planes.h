// Maps as Jittor has them, (N, C, H, W), read and written LANES channels of a run of pixels at a time.
#pragma once
#include "vectors.h"

namespace ecgan {

//: rows[i][j] <-> rows[j][i].
static inline void transpose(vec rows[LANES]) {
#if ECGAN_LANES == 16 && defined(__AVX512F__)
    __m512 pairs[16], quads[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_ps((__m512)rows[i], (__m512)rows[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps((__m512)rows[i], (__m512)rows[i + 1]);
    }
    for (int i = 0; i < 16; i += 4)
        for (int j = 0; j < 2; j++) {
            const __m512d low = _mm512_castps_pd(pairs[i + j]), high = _mm512_castps_pd(pairs[i + j + 2]);
            quads[i + 2 * j] = _mm512_castpd_ps(_mm512_unpacklo_pd(low, high));
            quads[i + 2 * j + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low, high));
        }
    for (int j = 0; j < 4; j++) {  // of four rows each, columns j, 4 + j, 8 + j and 12 + j
        const __m512 a = _mm512_shuffle_f32x4(quads[j], quads[4 + j], 0x88);
        const __m512 b = _mm512_shuffle_f32x4(quads[8 + j], quads[12 + j], 0x88);
        const __m512 c = _mm512_shuffle_f32x4(quads[j], quads[4 + j], 0xdd);
        const __m512 d = _mm512_shuffle_f32x4(quads[8 + j], quads[12 + j], 0xdd);
        rows[j] = (vec)_mm512_shuffle_f32x4(a, b, 0x88);
        rows[4 + j] = (vec)_mm512_shuffle_f32x4(c, d, 0x88);
        rows[8 + j] = (vec)_mm512_shuffle_f32x4(a, b, 0xdd);
        rows[12 + j] = (vec)_mm512_shuffle_f32x4(c, d, 0xdd);
    }
#elif ECGAN_LANES == 8 && defined(__AVX2__)
    __m256 pairs[8], quads[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps((__m256)rows[i], (__m256)rows[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps((__m256)rows[i], (__m256)rows[i + 1]);
    }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            quads[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0x44);
            quads[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + j + 2], 0xee);
        }
    for (int j = 0; j < 4; j++) {
        rows[j] = (vec)_mm256_permute2f128_ps(quads[j], quads[4 + j], 0x20);
        rows[4 + j] = (vec)_mm256_permute2f128_ps(quads[j], quads[4 + j], 0x31);
    }
#else
    for (int i = 0; i < LANES; i++)
        for (int j = 0; j < i; j++) {
            const float held = rows[i][j];
            rows[i][j] = rows[j][i];
            rows[j][i] = held;
        }
#endif
}

//: `count` numbers, at most LANES, and zeros behind them.
static inline vec load_some(const float* from, int64_t count) {
    if (count >= LANES) return load(from);
    float some[LANES] = {};
    std::memcpy(some, from, count * sizeof(float));
    return load(some);
}
static inline void save_some(float* to, vec value, int64_t count) {
    if (count >= LANES) return save(to, value);
    float some[LANES];
    save(some, value);
    std::memcpy(to, some, count * sizeof(float));
}

//: Numbers of a run until the next one that lies at a multiple of LANES, if it begins `at` so many behind one.
static inline int64_t until_aligned(int64_t at, int64_t count) { return std::min(count, LANES - at % LANES); }

//: What a map is read as, or written with: as it is.
struct AsItIs {
    vec operator()(vec value, int64_t, int64_t) const { return value; }
};

//: What a leaky ReLU lets through of the gradient that is read, by what it gave, `y`, a map of the same shape.
struct Through {
    const float* y;
    float slope;
    vec operator()(vec gradient, int64_t place, int64_t count) const {
        return load_some(y + place, count) > 0 ? gradient : gradient * slope;
    }
};

//: Reads `x`: `as(values, place, count)` makes of numbers at `place` what is read. What a map does not have is zero.
template <class As = AsItIs>
struct Planes {
    const float* x;
    int64_t channels, height, width;
    As as;

    void operator()(int64_t image, int64_t row, int64_t column, int64_t count, int64_t channel, float* to) const {
        const int64_t plane = height * width, have = std::min<int64_t>(LANES, channels - channel);
        const int64_t first = ((image * channels + channel) * height + row) * width + column;
        for (int64_t i = 0, some; i < count; i += some) {
            some = until_aligned(column + i, count - i);
            vec values[LANES] = {};
            if (some == LANES && have == LANES)
                for (int c = 0; c < LANES; c++) {
                    const int64_t place = first + c * plane + i;
                    values[c] = as(load(x + place), place, LANES);
                }
            else
                for (int64_t c = 0; c < have; c++) {
                    const int64_t place = first + c * plane + i;
                    values[c] = as(load_some(x + place, some), place, some);
                }
            transpose(values);
            for (int64_t j = 0; j < some; j++) save(to + (i + j) * LANES, values[j]);
        }
    }
};

//: Writes `y`, with `bias` (features) if not null, and a leaky ReLU behind it.
struct ToPlanes {
    float* y;
    int64_t features, height, width;
    const float* bias;
    float slope;

    void operator()(int64_t image, int64_t row, int64_t column, int64_t count, int64_t feature, const float* from) const {
        const int64_t plane = height * width, have = std::min<int64_t>(LANES, features - feature);
        if (have <= 0) return;
        float* to = y + ((image * features + feature) * height + row) * width + column;
        const vec plus = bias ? load_some(bias + feature, have) : vec{};
        for (int64_t i = 0, some; i < count; i += some) {
            some = until_aligned(column + i, count - i);
            vec values[LANES];
            for (int64_t j = 0; j < LANES; j++) {
                const vec value = load(from + (i + std::min(j, some - 1)) * LANES) + plus;
                values[j] = value > 0 ? value : value * slope;
            }
            transpose(values);
            for (int64_t f = 0; f < have; f++) save_some(to + f * plane + i, values[f], some);
        }
    }
};

}  // namespace ecgan
