// The 3x3 convolution of maps (N, C, H, W) with weights (F, C, 3, 3) by Winograd's way, and its gradients.
#pragma once
#include "planes.h"
#include "winograd_gradient.h"

namespace ecgan {

//: (F, C, 3, 3) -> `Weights.taps`: for each panel of features (channels, 9, width).
static void pack(const float* weights, int64_t channels, int64_t features, float* taps) {
    const int64_t all = round_up(channels, BLOCK), columns = channels * 9;
    const Planes<> read{weights, features, 1, columns, {}};
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < round_up(features, BLOCK); first += PANEL)
        for (int64_t c = 0; c < all; c += BLOCK) {
            const int64_t width = panel_width(round_up(features, BLOCK), first);
            const int64_t have = std::max<int64_t>(0, std::min(BLOCK, channels - c)) * 9;
            float rows[9 * BLOCK * LANES] = {};
            for (int64_t f = 0; f < width; f += LANES) {
                read(0, 0, c * 9, have, first + f, rows);
                for (int64_t i = 0; i < 9 * BLOCK; i++)
                    save(taps + (first * all + c * width) * 9 + i * width + f, load(rows + i * LANES));
            }
        }
}

//: The same of the weights whose convolution gives the gradient by data: turned by 180 degrees, from features to channels.
static void pack_turned(const float* weights, int64_t channels, int64_t features, float* taps) {
    const int64_t all = round_up(features, BLOCK);
    #pragma omp parallel for collapse(2) schedule(dynamic)
    for (int64_t first = 0; first < round_up(channels, BLOCK); first += PANEL)
        for (int64_t f = 0; f < all; f++) {
            const int64_t width = panel_width(round_up(channels, BLOCK), first);
            for (int64_t c = 0; c < width; c += LANES) {
                const int64_t have = f < features ? std::max<int64_t>(0, std::min<int64_t>(LANES, channels - first - c)) : 0;
                const float* from = weights + (f * channels + first + c) * 9;
                vec low[LANES] = {};
                for (int64_t i = 0; i < have; i++) low[i] = load_some(from + i * 9, LANES <= 9 ? LANES : 9);
                transpose(low);
                for (int i = 0; i < 9; i++) {
                    vec values = {};
                    if (i < LANES) values = low[i];
                    else for (int64_t j = 0; j < have; j++) values[j] = from[j * 9 + i];
                    save(taps + (first * all + f * width) * 9 + (8 - i) * width + c, values);
                }
            }
        }
}

//: From so many groups of tiles on the weights are transformed once, not anew for each group.
constexpr int64_t WORTH_TRANSFORMING = 2;

template <class Read>
static void convolve_planes(int64_t images, int64_t height, int64_t width, int64_t channels, int64_t features,
                            const Buffer& taps, int threads, const Read& read, const ToPlanes& write) {
    Weights weights{round_up(channels, BLOCK), round_up(features, BLOCK), taps.get(), nullptr};
    const bool often = Cut(images, height, width, weights, 1).groups >= WORTH_TRANSFORMING;
    const Buffer products = buffer(often ? products_size(weights.channels, weights.features) : 0);
    if (often) {
        transform_all(weights.channels, weights.features, taps.get(), products.get());
        weights.products = products.get();
    }
    convolve(images, height, width, weights, threads, read, write);
}

static inline Buffer taps_for(int64_t channels, int64_t features) {
    return buffer(taps_size(round_up(channels, BLOCK), round_up(features, BLOCK)));
}

//: x (N, C, H, W) -> y (N, F, H, W), with `bias` (F) if not null and a leaky ReLU behind it; none if `slope` is 1.
static void convolution(int64_t images, int64_t channels, int64_t features, int64_t height, int64_t width, int threads,
                        const float* x, const float* weights, const float* bias, float slope, float* y) {
    const Buffer taps = taps_for(channels, features);
    pack(weights, channels, features, taps.get());
    convolve_planes(images, height, width, channels, features, taps, threads,
                    Planes<>{x, channels, height, width, {}}, ToPlanes{y, features, height, width, bias, slope});
}

//: The gradient by x, of the gradient `dy` by y; where there is a leaky ReLU, of what it lets through.
template <class As>
static void gradient_by_data(int64_t images, int64_t channels, int64_t features, int64_t height, int64_t width,
                             int threads, const float* dy, As as, const float* weights, float* dx) {
    const Buffer taps = taps_for(features, channels);
    pack_turned(weights, channels, features, taps.get());
    convolve_planes(images, height, width, features, channels, taps, threads,
                    Planes<As>{dy, features, height, width, as}, ToPlanes{dx, channels, height, width, nullptr, 1.f});
}

//: The gradient by weights (F, C, 3, 3).
template <class As>
static void gradient_by_weights(int64_t images, int64_t channels, int64_t features, int64_t height, int64_t width,
                                int threads, const float* x, const float* dy, As as, float* dweights) {
    correlate(images, height, width, round_up(channels, BLOCK), round_up(features, BLOCK), threads,
              Planes<>{x, channels, height, width, {}}, Planes<As>{dy, features, height, width, as},
              [=](int64_t channel, int64_t feature, const float* made) {
                  const ToPlanes write{dweights, features, 1, channels * 9, nullptr, 1.f};
                  const int64_t some = std::min(BLOCK, channels - channel);
                  if (some > 0) write(0, 0, channel * 9, some * 9, feature, made);
              });
}

//: The gradient by bias (F): sums over images and pixels.
template <class As>
static void gradient_by_bias(int64_t images, int64_t features, int64_t pixels, const float* dy, As as, float* dbias) {
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
