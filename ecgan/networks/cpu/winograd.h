// 3x3 convolution, stride 1, padding 1, after Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks"
// (2016): F(4x4, 3x3) makes a tile of 4x4 results from 6x6 values with 36 products a channel instead of 144.
//
// Each thread takes a group of tiles from reading to writing, so that what lies between stays in its cache. How a map is
// laid out, and what is done to it on the way in and out, is the caller's: `Read` and `Write`. What comes out depends
// neither on the number of threads nor on what else is in the batch.
#pragma once
#include "product.h"

namespace ecgan {

constexpr int TILE = 4, SEEN = TILE + 2, PRODUCTS = SEEN * SEEN;

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

//: A^T m: six values in, `step` apart, four out, `to` apart.
static inline void transform_out(const vec* m, int step, vec* y, int to) {
    const vec near = m[step] + m[2 * step], across = m[step] - m[2 * step];
    const vec far = m[3 * step] + m[4 * step], apart = m[3 * step] - m[4 * step];
    y[0] = m[0] + near + far;
    y[to] = NEAR * across + FAR * apart;
    y[2 * to] = NEAR2 * near + FAR2 * far;
    y[3 * to] = NEAR2 * NEAR * across + FAR2 * FAR * apart + m[5 * step];
}

//: G g: three weights in, `step` apart, six out, `to` apart.
static inline void transform_weights(const vec* g, int step, vec* u, int to) {
    constexpr float near = .5f / (NEAR2 * (NEAR2 - FAR2)), far = .5f / (FAR2 * (FAR2 - NEAR2));
    const vec even = near * g[0] + near * NEAR2 * g[2 * step], odd = near * NEAR * g[step];
    const vec even_far = far * g[0] + far * FAR2 * g[2 * step], odd_far = far * FAR * g[step];
    u[0] = g[0];
    u[to] = even + odd;
    u[2 * to] = even - odd;
    u[3 * to] = even_far + odd_far;
    u[4 * to] = even_far - odd_far;
    u[5 * to] = g[2 * step];
}

//: Weights of a convolution from `channels` to `features`, both multiples of BLOCK, filled up with zeros.
//: `taps`: for each panel of features (channels, 9, width). `products`: if not null the same transformed, 36 times
//: (features * channels), each in panels of (channels, width); worth its memory where there are many tiles.
struct Weights {
    int64_t channels, features;
    const float *taps, *products;
};

static inline int64_t taps_size(int64_t channels, int64_t features) { return 9 * channels * features; }
static inline int64_t products_size(int64_t channels, int64_t features) { return PRODUCTS * channels * features; }

//: (width) columns of each of `channels` channels of a panel -> 36 matrices (channels, width), `apart` from each other.
static inline void transform_panel(const float* taps, int64_t channels, int64_t width, float* products, int64_t apart) {
    for (int64_t c = 0; c < channels; c++)
        for (int64_t f = 0; f < width; f += LANES) {
            vec g[9], half[18], u[SEEN];
            for (int i = 0; i < 9; i++) g[i] = load(taps + (c * 9 + i) * width + f);
            for (int j = 0; j < 3; j++) transform_weights(g + j, 3, half + j, 3);
            for (int i = 0; i < SEEN; i++) {
                transform_weights(half + 3 * i, 1, u, 1);
                for (int j = 0; j < SEEN; j++) save(products + (SEEN * i + j) * apart + c * width + f, u[j]);
            }
        }
}

//: All of `taps` -> `products`.
static void transform_all(int64_t channels, int64_t features, const float* taps, float* products) {
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < features; first += PANEL)
        for (int64_t c = 0; c < channels; c += BLOCK) {
            const int64_t width = panel_width(features, first);
            transform_panel(taps + (first * channels + c * width) * 9, BLOCK, width,
                            products + first * channels + c * width, channels * features);
        }
}

//: How a batch of maps is cut into strips of tiles, and these into groups.
struct Cut {
    int64_t height, width, down, strips_across, length, strips, together, groups, features_at_a_time, parts;

    Cut(int64_t images, int64_t height, int64_t width, const Weights& weights, int64_t threads)
        : height(height), width(width), down((height + TILE - 1) / TILE) {
        const int64_t across = (width + TILE - 1) / TILE;
        strips_across = (across + LONGEST_STRIP - 1) / LONGEST_STRIP;
        length = (across + strips_across - 1) / strips_across;
        strips = images * down * strips_across;
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
};

//: Reads a strip and the pixels around it, and transforms it, channel by channel: values, 36 times (tiles, row_length).
template <class Read>
static void take_strip(const Cut& cut, int64_t strip, int64_t channels, const Read& read, float* seen, float* values,
                       int64_t row_length, int64_t apart) {
    const int64_t wide = TILE * cut.length + 2, top = cut.top(strip) - 1, left = cut.left(strip) - 1;
    const int64_t begin = std::max<int64_t>(left, 0), end = std::min(left + wide, cut.width);
    for (int64_t c = 0; c < channels; c += LANES) {
        for (int64_t i = 0; i < SEEN; i++) {  // outside the frame all is zero
            float* row = seen + i * wide * LANES;
            const bool inside = top + i >= 0 && top + i < cut.height;
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
template <class Write>
static void give_strip(const Cut& cut, int64_t strip, int64_t first, int64_t width, const float* sums, int64_t apart,
                       float* made, const Write& write) {
    const int64_t top = cut.top(strip), left = cut.left(strip), columns = std::min(TILE * cut.length, cut.width - left);
    for (int64_t f = 0; f < width; f += LANES) {
        for (int64_t t = 0; t < cut.length; t++) {
            vec m[SEEN], half[TILE * SEEN], y[TILE];
            for (int j = 0; j < SEEN; j++) {
                for (int i = 0; i < SEEN; i++) m[i] = load(sums + (SEEN * i + j) * apart + t * width + f);
                transform_out(m, 1, half + j, SEEN);
            }
            for (int i = 0; i < TILE; i++) {
                transform_out(half + SEEN * i, 1, y, 1);
                for (int j = 0; j < TILE; j++) save(made + ((i * cut.length + t) * TILE + j) * LANES, y[j]);
            }
        }
        for (int64_t i = 0; i < TILE && top + i < cut.height; i++)
            write(cut.image(strip), top + i, left, columns, first + f, made + i * cut.length * TILE * LANES);
    }
}

//: `read(image, row, column, count, channel, to)` puts LANES channels of `count` pixels of a row, all inside the frame,
//: to `to` (count, LANES); `write(image, row, column, count, feature, from)` takes as many of the result.
template <class Read, class Write>
static void convolve(int64_t images, int64_t height, int64_t width, const Weights& weights, int threads,
                     const Read& read, const Write& write) {
    const Cut cut(images, height, width, weights, threads);
    const int64_t channels = weights.channels, features = weights.features, tiles = cut.together * cut.length;
    // Not a multiple of 4 KiB apart, or all 36 would share the same few places of the cache.
    const int64_t values_apart = tiles * channels + BLOCK, sums_apart = tiles * PANEL + BLOCK;
    const int64_t at_a_time = weights.products ? channels : std::min(channels, CHANNELS_AT_A_TIME);
    #pragma omp parallel num_threads(threads)
    {
        const Buffer values = buffer(PRODUCTS * values_apart), sums = buffer(PRODUCTS * sums_apart);
        const Buffer seen = buffer(SEEN * (TILE * cut.length + 2) * LANES), made = buffer(TILE * TILE * cut.length * LANES);
        const Buffer transformed = buffer(weights.products ? 0 : products_size(at_a_time, PANEL));
        #pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < cut.groups * cut.parts; job++) {
            const int64_t begin = job / cut.parts * cut.together, end = std::min(begin + cut.together, cut.strips);
            const int64_t from = job % cut.parts * cut.features_at_a_time;
            const int64_t to = std::min(features, from + cut.features_at_a_time);
            if (from >= to) continue;
            for (int64_t strip = begin; strip < end; strip++)
                take_strip(cut, strip, channels, read, seen.get(),
                           values.get() + (strip - begin) * cut.length * channels, channels, values_apart);
            for (int64_t first = from; first < to; first += PANEL) {
                const int64_t panel = panel_width(features, first);
                for (int64_t c = 0; c < channels; c += at_a_time) {
                    const int64_t some = std::min(at_a_time, channels - c);
                    const float* factors = weights.products ? weights.products + first * channels : transformed.get();
                    const int64_t apart = weights.products ? channels * features : some * panel;
                    if (!weights.products)
                        transform_panel(weights.taps + (first * channels + c * panel) * 9, some, panel,
                                        transformed.get(), apart);
                    for (int k = 0; k < PRODUCTS; k++)
                        multiply((end - begin) * cut.length, values.get() + k * values_apart + c, channels,
                                 factors + k * apart, panel, some, sums.get() + k * sums_apart, panel, c > 0);
                }
                for (int64_t strip = begin; strip < end; strip++)
                    give_strip(cut, strip, first, panel, sums.get() + (strip - begin) * cut.length * panel, sums_apart,
                               made.get(), write);
            }
        }
    }
}

}  // namespace ecgan
