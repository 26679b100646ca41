// Convolution of stride 1 with 3x3 or 4x4 taps, after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
// (2016): F(4x4, 3x3) makes a tile of 4x4 results from 6x6 values with 36 products a channel instead of 144.
//
// Each thread takes a group of tiles from reading to writing, so that what lies between stays in its cache. How a map is
// laid out, and what is done to it on the way in and out, is the caller's: `Read` and `Write`. What comes out depends
// neither on the number of threads nor on what else is in the batch.
#pragma once
#include <omp.h>
#include "product.h"

namespace ecgan {

constexpr int SEEN = 6, PRODUCTS = SEEN * SEEN;
//: Results of a tile in each direction, for kernels of so many taps in each: 6x6 values make 4x4 for 3x3 taps.
constexpr int tile(int taps) { return SEEN + 1 - taps; }

//: A strip is a row of so many tiles at most, all of which are read before they are transformed.
constexpr int64_t LONGEST_STRIP = 32;
//: Channels whose weights are transformed at a time.
constexpr int64_t CHANNELS_AT_A_TIME = 64;

//: The points at which polynomials are multiplied: 0, +-NEAR, +-FAR and infinity. That FAR is 1 / NEAR makes factors of
//: one; the rounding is 2.5 times less than with the usual 1 and 2.
constexpr float NEAR = 2 / 3.f, FAR = 3 / 2.f, NEAR2 = NEAR * NEAR, FAR2 = FAR * FAR, BOTH2 = NEAR2 + FAR2;

//: B^T d: six values in, `step` apart, six out.
static inline void transform_in(const vec* d, vec* t, int step) {
    const vec d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step];
    const vec even = d4 - FAR2 * d2, odd = NEAR * d3 - FAR * d1, even_far = d4 - NEAR2 * d2, odd_far = FAR * d3 - NEAR * d1;
    t[0] = d[0] - BOTH2 * d2 + d4;
    t[step] = even + odd;
    t[2 * step] = even - odd;
    t[3 * step] = even_far + odd_far;
    t[4 * step] = even_far - odd_far;
    t[5 * step] = d1 - BOTH2 * d3 + d[5 * step];
}

//: What numbers at the points are divided by: the products of their distances to the other points.
constexpr float OVER_NEAR = .5f / (NEAR2 * (NEAR2 - FAR2)), OVER_FAR = .5f / (FAR2 * (FAR2 - NEAR2));

//: A polynomial's COUNT coefficients in, `step` apart, its values at the six points out, `to` apart; at those that are
//: near or far times so much. G g with OVER_NEAR and OVER_FAR, A y without.
template <int COUNT>
static inline void at_points(const vec* c, int step, vec* v, int to, float over_near = 1, float over_far = 1) {
    static_assert(COUNT == 3 || COUNT == 4, "as many as taps, or results of a tile");
    const vec even = over_near * c[0] + over_near * NEAR2 * c[2 * step];
    const vec even_far = over_far * c[0] + over_far * FAR2 * c[2 * step];
    vec odd = over_near * NEAR * c[step], odd_far = over_far * FAR * c[step];
    if (COUNT > 3) {
        odd += over_near * NEAR2 * NEAR * c[3 * step];
        odd_far += over_far * FAR2 * FAR * c[3 * step];
    }
    v[0] = c[0];
    v[to] = even + odd;
    v[2 * to] = even - odd;
    v[3 * to] = even_far + odd_far;
    v[4 * to] = even_far - odd_far;
    v[5 * to] = c[(COUNT - 1) * step];
}

//: The transpose of `at_points`: six in, COUNT out. A^T m without the two factors, G^T u with them.
template <int COUNT>
static inline void from_points(const vec* v, int step, vec* c, int to, float over_near = 1, float over_far = 1) {
    static_assert(COUNT == 3 || COUNT == 4, "as many as taps, or results of a tile");
    const vec near = over_near * (v[step] + v[2 * step]), across = over_near * (v[step] - v[2 * step]);
    const vec far = over_far * (v[3 * step] + v[4 * step]), apart = over_far * (v[3 * step] - v[4 * step]);
    c[0] = v[0] + near + far;
    c[to] = NEAR * across + FAR * apart;
    c[2 * to] = NEAR2 * near + FAR2 * far;
    if (COUNT > 3) c[3 * to] = NEAR2 * NEAR * across + FAR2 * FAR * apart;
    c[(COUNT - 1) * to] += v[5 * step];
}

//: Weights of a convolution from `channels` to `features`, both multiples of BLOCK, filled up with zeros.
//: `taps`: for each panel of features (channels, TAPS * TAPS, width). `products`: if not null the same transformed, 36 times
//: (features * channels), each in panels of (channels, width); worth its memory where there are many tiles.
struct Weights {
    int64_t channels, features;
    const float *taps, *products;
};

static inline int64_t products_size(int64_t channels, int64_t features) { return PRODUCTS * channels * features; }

//: (TAPS * TAPS, width) columns of each of `channels` channels of a panel -> 36 matrices (channels, width), `apart` from each other.
template <int TAPS = 3>
static inline void transform_panel(const float* taps, int64_t channels, int64_t width, float* products, int64_t apart) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t f = 0; f < width; f += LANES) {
            vec g[TAPS * TAPS], half[SEEN * TAPS], u[SEEN];
            for (int i = 0; i < TAPS * TAPS; i++) g[i] = load(taps + (c * TAPS * TAPS + i) * width + f);
            for (int j = 0; j < TAPS; j++) at_points<TAPS>(g + j, TAPS, half + j, TAPS, OVER_NEAR, OVER_FAR);
            for (int i = 0; i < SEEN; i++) {
                at_points<TAPS>(half + TAPS * i, 1, u, 1, OVER_NEAR, OVER_FAR);
                for (int j = 0; j < SEEN; j++) save(products + (SEEN * i + j) * apart + c * width + f, u[j]);
            }
        }
}

//: All of `taps` -> `products`.
template <int TAPS = 3>
static void transform_all(int64_t channels, int64_t features, const float* taps, float* products) {
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < features; first += PANEL)
        for (int64_t c = 0; c < channels; c += BLOCK) {
            const int64_t width = panel_width(features, first);
            transform_panel<TAPS>(taps + (first * channels + c * width) * TAPS * TAPS, BLOCK, width,
                                  products + first * channels + c * width, channels * features);
        }
}

//: What is made and what is seen. A result sees TAPS x TAPS values, the first of them `padding` rows and columns before
//: it; outside their frame all is zero.
struct Frames {
    int64_t images, height, width, seen_height, seen_width, padding;
};

//: How a batch of maps is cut into strips of tiles, and these into groups.
template <int TAPS>
struct Cut {
    static constexpr int TILE = tile(TAPS);
    Frames frames;
    int64_t down, strips_across, length, strips, together, groups, features_at_a_time, parts;

    Cut(const Frames& frames, const Weights& weights, int64_t threads)
        : frames(frames), down((frames.height + TILE - 1) / TILE) {
        const int64_t across = (frames.width + TILE - 1) / TILE;
        strips_across = (across + LONGEST_STRIP - 1) / LONGEST_STRIP;
        length = (across + strips_across - 1) / strips_across;
        strips = frames.images * down * strips_across;
        // More tiles together use the weights more often, fewer leave more of themselves in the cache.
        const int64_t tiles = std::min<int64_t>(96, std::max<int64_t>(24, weights.channels / 8));
        together = std::max<int64_t>(1, std::min(tiles / length, (strips + threads - 1) / threads));
        groups = (strips + together - 1) / together;
        // Where there are fewer groups than threads, several share one, for some of the features each.
        const int64_t panels = (weights.features + PANEL - 1) / PANEL;
        parts = std::min(panels, std::max<int64_t>(1, threads / groups));
        features_at_a_time = (panels + parts - 1) / parts * PANEL;
    }
    int64_t image(int64_t strip) const { return strip / strips_across / down; }
    int64_t top(int64_t strip) const { return strip / strips_across % down * TILE; }
    int64_t left(int64_t strip) const { return strip % strips_across * length * TILE; }
    int64_t width_seen() const { return TILE * length + TAPS - 1; }
};

//: Reads a strip and the pixels around it, and transforms it, channel by channel: values, 36 times (tiles, row_length).
template <int TAPS, class Read>
static void take_strip(const Cut<TAPS>& cut, int64_t strip, int64_t channels, const Read& read, float* seen, float* values,
                       int64_t row_length, int64_t apart) {
    constexpr int TILE = tile(TAPS);
    const Frames& frames = cut.frames;
    const int64_t wide = cut.width_seen(), top = cut.top(strip) - frames.padding, left = cut.left(strip) - frames.padding;
    const int64_t begin = std::max<int64_t>(left, 0), end = std::min(left + wide, frames.seen_width);
    for (int64_t c = 0; c < channels; c += LANES) {
        for (int64_t i = 0; i < SEEN; i++) {  // outside the frame all is zero
            float* row = seen + i * wide * LANES;
            const bool inside = top + i >= 0 && top + i < frames.seen_height;
            const int64_t before = inside ? begin - left : wide, behind = inside ? left + wide - end : 0;
            std::memset(row, 0, before * LANES * sizeof(float));
            if (inside) read(cut.image(strip), top + i, begin, end - begin, c, row + before * LANES);
            std::memset(row + (wide - behind) * LANES, 0, behind * LANES * sizeof(float));
        }
        for (int64_t t = 0; t < cut.length; t++) {
            vec d[PRODUCTS], half[PRODUCTS], row[SEEN];
            for (int i = 0; i < SEEN; i++)
                for (int j = 0; j < SEEN; j++) d[SEEN * i + j] = load(seen + (i * wide + TILE * t + j) * LANES);
            for (int j = 0; j < SEEN; j++) transform_in(d + j, half + j, SEEN);
            for (int i = 0; i < SEEN; i++) {
                transform_in(half + SEEN * i, row, 1);
                for (int j = 0; j < SEEN; j++) save(values + (SEEN * i + j) * apart + t * row_length + c, row[j]);
            }
        }
    }
}

//: The products of a strip, 36 times (tiles, width), `apart` from each other, transformed back and written.
template <int TAPS, class Write>
static void give_strip(const Cut<TAPS>& cut, int64_t strip, int64_t first, int64_t width, const float* sums, int64_t apart,
                       float* made, const Write& write) {
    constexpr int TILE = tile(TAPS);
    const int64_t top = cut.top(strip), left = cut.left(strip);
    const int64_t columns = std::min(TILE * cut.length, cut.frames.width - left);
    for (int64_t f = 0; f < width; f += LANES) {
        for (int64_t t = 0; t < cut.length; t++) {
            vec m[SEEN], half[TILE * SEEN], y[TILE];
            for (int j = 0; j < SEEN; j++) {
                for (int i = 0; i < SEEN; i++) m[i] = load(sums + (SEEN * i + j) * apart + t * width + f);
                from_points<TILE>(m, 1, half + j, SEEN);
            }
            for (int i = 0; i < TILE; i++) {
                from_points<TILE>(half + SEEN * i, 1, y, 1);
                for (int j = 0; j < TILE; j++) save(made + ((i * cut.length + t) * TILE + j) * LANES, y[j]);
            }
        }
        for (int64_t i = 0; i < TILE && top + i < cut.frames.height; i++)
            write(cut.image(strip), top + i, left, columns, first + f, made + i * cut.length * TILE * LANES);
    }
}

//: `read(image, row, column, count, channel, to)` puts LANES channels of `count` pixels of a row, all inside the frame,
//: to `to` (count, LANES); `write(image, row, column, count, feature, from)` takes as many of the result.
template <int TAPS, class Read, class Write>
static void convolve(const Frames& frames, const Weights& weights, int threads, const Read& read, const Write& write) {
    constexpr int TILE = tile(TAPS);
    const Cut<TAPS> cut(frames, weights, threads);
    const int64_t channels = weights.channels, features = weights.features, tiles = cut.together * cut.length;
    // Not a multiple of 4 KiB apart, or all 36 would share the same few places of the cache.
    const int64_t values_apart = tiles * channels + BLOCK, sums_apart = tiles * PANEL + BLOCK;
    const int64_t at_a_time = weights.products ? channels : std::min(channels, CHANNELS_AT_A_TIME);
    const Shares all_values(threads, PRODUCTS * values_apart), all_sums(threads, PRODUCTS * sums_apart);
    const Shares all_seen(threads, SEEN * cut.width_seen() * LANES);
    const Shares all_made(threads, TILE * TILE * cut.length * LANES);
    const Shares all_transformed(threads, weights.products ? 0 : products_size(at_a_time, PANEL));
    #pragma omp parallel num_threads(threads)
    {
        const int me = omp_get_thread_num();
        float *values = all_values.of(me), *sums = all_sums.of(me), *seen = all_seen.of(me), *made = all_made.of(me);
        float* transformed = all_transformed.of(me);
        #pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < cut.groups * cut.parts; job++) {
            const int64_t begin = job / cut.parts * cut.together, end = std::min(begin + cut.together, cut.strips);
            const int64_t from = job % cut.parts * cut.features_at_a_time;
            const int64_t to = std::min(features, from + cut.features_at_a_time);
            if (from >= to) continue;
            for (int64_t strip = begin; strip < end; strip++)
                take_strip(cut, strip, channels, read, seen,
                           values + (strip - begin) * cut.length * channels, channels, values_apart);
            for (int64_t first = from; first < to; first += PANEL) {
                const int64_t panel = panel_width(features, first);
                for (int64_t c = 0; c < channels; c += at_a_time) {
                    const int64_t some = std::min(at_a_time, channels - c);
                    const float* factors = weights.products ? weights.products + first * channels : transformed;
                    const int64_t apart = weights.products ? channels * features : some * panel;
                    if (!weights.products)
                        transform_panel<TAPS>(weights.taps + (first * channels + c * panel) * TAPS * TAPS, some, panel,
                                              transformed, apart);
                    for (int k = 0; k < PRODUCTS; k++)
                        multiply((end - begin) * cut.length, values + k * values_apart + c, channels,
                                 factors + k * apart, panel, some, sums + k * sums_apart, panel, c > 0);
                }
                for (int64_t strip = begin; strip < end; strip++)
                    give_strip(cut, strip, first, panel, sums + (strip - begin) * cut.length * panel, sums_apart,
                               made, write);
            }
        }
    }
}

//: 3x3, stride 1, padding 1.
template <class Read, class Write>
static void convolve(int64_t images, int64_t height, int64_t width, const Weights& weights, int threads,
                     const Read& read, const Write& write) {
    convolve<3>(Frames{images, height, width, height, width, 1}, weights, threads, read, write);
}

}  // namespace ecgan
