// The gradient of a convolution by its weights: the transposes of the steps in winograd.h, in reverse.
//
// Of each tile the 6x6 values that it saw, and its gradients as 36 numbers; for each of the 36 a matrix product that sums
// over all tiles, tile after tile; and what comes out back to weights. The bits do not depend on the number of threads.
#pragma once
#include "winograd.h"

namespace ecgan {

//: Tiles are taken so many at a time that their 36 matrices have about as many numbers as the sums, within these limits:
//: both go through the cache once each time.
constexpr int64_t LEAST_VALUES = 1 << 20, MOST_VALUES = 12 << 20;
//: Channels and features whose sums are made together, so that they stay in the cache.
constexpr int64_t CHANNELS_TOGETHER = 128, FEATURES_TOGETHER = 256;
//: Tiles over which is summed in registers.
constexpr int64_t TILES_TOGETHER = 128;

//: Gradients of a strip -> 36 times (tiles, row_length), `apart` from each other. Outside the frame all is zero.
template <int TAPS, class Read>
static void take_gradients(const Cut<TAPS>& cut, int64_t strip, int64_t features, const Read& read, float* seen,
                           float* values, int64_t row_length, int64_t apart) {
    constexpr int TILE = tile(TAPS);
    const int64_t wide = TILE * cut.length, top = cut.top(strip), left = cut.left(strip);
    const int64_t inside = std::min(wide, cut.frames.width - left);
    for (int64_t f = 0; f < features; f += LANES) {
        for (int64_t i = 0; i < TILE; i++) {
            float* row = seen + i * wide * LANES;
            const int64_t have = top + i < cut.frames.height ? inside : 0;
            if (have) read(cut.image(strip), top + i, left, have, f, row);
            std::memset(row + have * LANES, 0, (wide - have) * LANES * sizeof(float));
        }
        for (int64_t t = 0; t < cut.length; t++) {
            vec y[TILE * TILE], half[SEEN * TILE], row[SEEN];
            for (int i = 0; i < TILE; i++)
                for (int j = 0; j < TILE; j++) y[TILE * i + j] = load(seen + (i * wide + TILE * t + j) * LANES);
            for (int j = 0; j < TILE; j++) at_points<TILE>(y + j, TILE, half + j, TILE);
            for (int i = 0; i < SEEN; i++) {
                at_points<TILE>(half + TILE * i, 1, row, 1);
                for (int j = 0; j < SEEN; j++) save(values + (SEEN * i + j) * apart + t * row_length + f, row[j]);
            }
        }
    }
}

//: 36 sums (BLOCK channels, `stride`), `apart` from each other, of LANES features -> (BLOCK, TAPS * TAPS, LANES).
template <int TAPS>
static inline void gather_block(const float* sums, int64_t stride, int64_t apart, float* made) {
    for (int64_t c = 0; c < BLOCK; c++) {
        vec u[SEEN], half[TAPS * SEEN], g[TAPS];
        for (int j = 0; j < SEEN; j++) {
            for (int i = 0; i < SEEN; i++) u[i] = load(sums + (SEEN * i + j) * apart + c * stride);
            from_points<TAPS>(u, 1, half + j, SEEN, OVER_NEAR, OVER_FAR);
        }
        for (int i = 0; i < TAPS; i++) {
            from_points<TAPS>(half + SEEN * i, 1, g, 1, OVER_NEAR, OVER_FAR);
            for (int j = 0; j < TAPS; j++) save(made + (c * TAPS * TAPS + TAPS * i + j) * LANES, g[j]);
        }
    }
}

//: `read` and `read_gradient` as `convolve` has them; `write(channel, feature, from)` takes (BLOCK channels, TAPS * TAPS,
//: LANES features) of the gradient. `channels` and `features`: multiples of BLOCK.
template <int TAPS, class Read, class ReadGradient, class Write>
static void correlate(const Frames& frames, int64_t channels, int64_t features, int threads, const Read& read,
                      const ReadGradient& read_gradient, const Write& write) {
    const Cut<TAPS> cut(frames, Weights{channels, features, nullptr, nullptr}, 1);
    // Not a multiple of 4 KiB apart: see `convolve`.
    const int64_t x_row = channels + BLOCK, y_row = features + BLOCK;
    const int64_t values = std::min(MOST_VALUES, std::max(LEAST_VALUES, PRODUCTS * channels * features));
    const int64_t most = std::max<int64_t>(1, values / (PRODUCTS * (x_row + y_row) * cut.length));
    const int64_t rounds = (cut.strips + most - 1) / most, together = (cut.strips + rounds - 1) / rounds;
    const int64_t x_apart = together * cut.length * x_row, y_apart = together * cut.length * y_row;
    const Buffer seen_values = buffer(PRODUCTS * x_apart), gradients = buffer(PRODUCTS * y_apart);

    const int64_t channels_together = std::min(CHANNELS_TOGETHER, channels);
    const int64_t features_together = std::min(FEATURES_TOGETHER, round_up(features, PANEL));
    const int64_t down = (channels + channels_together - 1) / channels_together;
    const int64_t across = (features + features_together - 1) / features_together;
    const int64_t apart = channels_together * features_together + BLOCK, block_size = PRODUCTS * apart;
    const Buffer sums = buffer((rounds > 1 ? down * across : 1) * block_size);  // each block: 36 times, panels of (channels, width)
    const Shares all_seen(threads, SEEN * cut.width_seen() * LANES), all_made(threads, TAPS * TAPS * BLOCK * LANES);
    #pragma omp parallel num_threads(threads)
    {
        float *seen = all_seen.of(omp_get_thread_num()), *made = all_made.of(omp_get_thread_num());
        for (int64_t round = 0; round < rounds; round++) {
            const int64_t first_strip = round * together, strips = std::min(together, cut.strips - first_strip);
            #pragma omp for schedule(dynamic)
            for (int64_t job = 0; job < 2 * strips; job++) {
                const int64_t strip = first_strip + job / 2, first = job / 2 * cut.length;
                if (job % 2) take_gradients(cut, strip, features, read_gradient, seen,
                                            gradients.get() + first * y_row, y_row, y_apart);
                else take_strip(cut, strip, channels, read, seen, seen_values.get() + first * x_row, x_row, x_apart);
            }
            for (int64_t block = 0; block < down * across; block++) {
                const int64_t c0 = block / across * channels_together, f0 = block % across * features_together;
                const int64_t some_channels = std::min(channels_together, channels - c0);
                const int64_t some_features = std::min(features_together, features - f0);
                float* of_block = sums.get() + (rounds > 1 ? block * block_size : 0);
                #pragma omp for schedule(dynamic)
                for (int k = 0; k < PRODUCTS; k++)
                    for (int64_t f = 0; f < some_features; f += PANEL)
                        for (int64_t t = 0; t < strips * cut.length; t += TILES_TOGETHER)
                            multiply_transposed(
                                some_channels, seen_values.get() + k * x_apart + t * x_row + c0, x_row,
                                gradients.get() + k * y_apart + t * y_row + f0 + f, y_row, panel_width(some_features, f),
                                std::min(TILES_TOGETHER, strips * cut.length - t),
                                of_block + k * apart + f * channels_together, round > 0 || t > 0);
                if (round + 1 == rounds) {
                    #pragma omp for collapse(2) schedule(dynamic)
                    for (int64_t c = 0; c < some_channels; c += BLOCK)
                        for (int64_t f = 0; f < some_features; f += LANES) {
                            const int64_t panel = f / PANEL * PANEL, stride = panel_width(some_features, panel);
                            gather_block<TAPS>(of_block + panel * channels_together + c * stride + f - panel, stride,
                                               apart, made);
                            write(c0 + c, f0 + f, made);
                        }
                }
            }
        }
    }
}

}  // namespace ecgan
