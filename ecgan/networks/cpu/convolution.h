// Convolutions of maps (N, C, H, W) with weights (F, C, TAPS, TAPS), stride 1, by Winograd's way, and their gradients.
#pragma once
#include "planes.h"
#include "winograd_gradient.h"

namespace ecgan {

//: x (images, channels, height, width) and y (images, features, height + 2 * padding + 1 - TAPS, likewise).
struct Sizes {
    int64_t images, channels, features, height, width, padding;
};

template <int TAPS>
static inline Frames forwards(const Sizes& s) {
    const int64_t more = 2 * s.padding + 1 - TAPS;
    return {s.images, s.height + more, s.width + more, s.height, s.width, s.padding};
}
template <int TAPS>
static inline Frames backwards(const Sizes& s) {
    const Frames y = forwards<TAPS>(s);
    return {s.images, s.height, s.width, y.height, y.width, TAPS - 1 - s.padding};
}

//: Weights -> `Weights.taps`: for each panel of features (channels, TAPS * TAPS, width).
template <int TAPS>
static void pack_planes(const float* weights, int64_t channels, int64_t features, float* taps) {
    constexpr int64_t SQUARE = TAPS * TAPS;
    const int64_t all = round_up(channels, BLOCK), all_features = round_up(features, BLOCK);
    const Planes<> read{weights, features, 1, channels * SQUARE, {}};
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < all_features; first += PANEL)
        for (int64_t c = 0; c < all; c += BLOCK) {
            const int64_t width = panel_width(all_features, first);
            float* to = taps + (first * all + c * width) * SQUARE;
            float rows[SQUARE * BLOCK * LANES] = {};
            for (int64_t f = 0; f < width; f += LANES) {
                read(0, 0, c * SQUARE, std::min(BLOCK, channels - c) * SQUARE, first + f, rows);
                for (int64_t i = 0; i < SQUARE * BLOCK; i++) save(to + i * width + f, load(rows + i * LANES));
            }
        }
}

//: The same of the weights whose convolution gives the gradient by data: turned by 180 degrees, from features to channels.
template <int TAPS>
static void pack_turned(const float* weights, int64_t channels, int64_t features, float* taps) {
    constexpr int64_t SQUARE = TAPS * TAPS;
    const int64_t all = round_up(features, BLOCK), all_channels = round_up(channels, BLOCK);
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < all_channels; first += PANEL)
        for (int64_t f = 0; f < all; f++) {
            const int64_t width = panel_width(all_channels, first);
            float* to = taps + (first * all + f * width) * SQUARE;
            for (int64_t c = 0; c < width; c += LANES) {
                const int64_t have = f < features ? std::min<int64_t>(LANES, channels - first - c) : 0;
                const float* from = weights + (f * channels + first + c) * SQUARE;
                for (int64_t i = 0; i < SQUARE; i += LANES) {
                    const int64_t some = std::min<int64_t>(LANES, SQUARE - i);
                    vec values[LANES] = {};
                    for (int64_t j = 0; j < have; j++) values[j] = load_some(from + j * SQUARE + i, some);
                    transpose(values);
                    for (int64_t j = 0; j < some; j++) save(to + (SQUARE - 1 - i - j) * width + c, values[j]);
                }
            }
        }
}

//: From so many groups of tiles on the weights are transformed once, not anew for each group.
constexpr int64_t WORTH_TRANSFORMING = 2;

//: A convolution from `channels` to `features`; `pack` fills in its taps.
template <int TAPS, class Pack, class Read>
static void convolve_planes(const Frames& frames, int64_t channels, int64_t features, int threads, const Pack& pack,
                            const Read& read, const ToPlanes& write) {
    const int64_t all = round_up(channels, BLOCK), all_features = round_up(features, BLOCK);
    const Buffer taps = buffer(TAPS * TAPS * all * all_features);
    pack(taps.get());
    Weights weights{all, all_features, taps.get(), nullptr};
    const bool often = Cut<TAPS>(frames, weights, 1).groups >= WORTH_TRANSFORMING;
    const Buffer products = buffer(often ? products_size(all, all_features) : 0);
    if (often) {
        transform_all<TAPS>(all, all_features, taps.get(), products.get());
        weights.products = products.get();
    }
    convolve<TAPS>(frames, weights, threads, read, write);
}

//: y of x, with `bias` (F) if not null and a leaky ReLU behind it; none if `slope` is 1.
template <int TAPS>
static void convolution(const Sizes& s, int threads, const float* x, const float* weights, const float* bias,
                        float slope, float* y) {
    const Frames frames = forwards<TAPS>(s);
    convolve_planes<TAPS>(
        frames, s.channels, s.features, threads,
        [&](float* taps) { pack_planes<TAPS>(weights, s.channels, s.features, taps); },
        Planes<>{x, s.channels, s.height, s.width, {}},
        ToPlanes{y, s.features, frames.height, frames.width, bias, slope});
}

//: The gradient by x, of the gradient `dy` by y; where there is a leaky ReLU, of what it lets through.
template <int TAPS, class As>
static void gradient_by_data(const Sizes& s, int threads, const float* weights, const float* dy, As as, float* dx) {
    const Frames frames = backwards<TAPS>(s);
    convolve_planes<TAPS>(
        frames, s.features, s.channels, threads,
        [&](float* taps) { pack_turned<TAPS>(weights, s.channels, s.features, taps); },
        Planes<As>{dy, s.features, frames.seen_height, frames.seen_width, as},
        ToPlanes{dx, s.channels, s.height, s.width, nullptr, 1.f});
}

//: The gradient by weights.
template <int TAPS, class As>
static void gradient_by_weights(const Sizes& s, int threads, const float* x, const float* dy, As as, float* dweights) {
    constexpr int64_t SQUARE = TAPS * TAPS;
    const Frames frames = forwards<TAPS>(s);
    correlate<TAPS>(frames, round_up(s.channels, BLOCK), round_up(s.features, BLOCK), threads,
                    Planes<>{x, s.channels, s.height, s.width, {}},
                    Planes<As>{dy, s.features, frames.height, frames.width, as},
                    [&](int64_t channel, int64_t feature, const float* made) {
                        const ToPlanes write{dweights, s.features, 1, s.channels * SQUARE, nullptr, 1.f};
                        const int64_t some = std::min(BLOCK, s.channels - channel);
                        write(0, 0, channel * SQUARE, some * SQUARE, feature, made);
                    });
}

//: The gradient by bias (F): sums over images and pixels.
template <class As>
static void gradient_by_bias(int64_t features, int64_t images, int64_t pixels, const float* dy, As as, float* dbias) {
    #pragma omp parallel for
    for (int64_t f = 0; f < features; f++) {
        double all = 0;
        for (int64_t image = 0; image < images; image++) {
            vec sum = {};
            const int64_t first = (image * features + f) * pixels;
            for (int64_t i = 0; i < pixels; i += LANES) {
                const int64_t some = std::min<int64_t>(LANES, pixels - i);
                sum += as(load_some(dy + first + i, some), first + i, some);
            }
            for (int i = 0; i < LANES; i++) all += sum[i];
        }
        dbias[f] = all;
    }
}

}  // namespace ecgan
