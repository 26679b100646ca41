// 3x3 convolution, stride 1, padding 1, of numbers that are rounded to bfloat16 and products that are added up in
// float32, by oneDNN. `Read` and `Write` are those of winograd.h.
//
// Each thread takes strips of rows from reading to writing, so that what lies between stays in its cache, and is alone
// with each: what comes out depends neither on the number of threads nor on what else is in the batch.
#pragma once
#include "onednn.h"

namespace ecgan {

typedef uint32_t bits __attribute__((vector_size(4 * LANES)));
typedef uint16_t halves __attribute__((vector_size(2 * LANES)));
typedef uint16_t unaligned_halves __attribute__((vector_size(2 * LANES), aligned(2), may_alias));

//: To the nearest, of two that are equally near to the even one; what is no number stays none.
static inline void save_rounded(uint16_t* to, vec value) {
    const bits exact = (bits)value, none = bits{} + 0x7fc00000u, sign = (exact >> 16) & 1;
    const bits rounded = value == value ? exact + 0x7fffu + sign : none;
    *(unaligned_halves*)to = __builtin_convertvector(rounded >> 16, halves);
}

//: Bytes of a strip's numbers, about; of more, they would leave the cache.
constexpr int64_t STRIP = 1 << 20;
constexpr int64_t FEATURES_AT_A_TIME = 128;
//: Pixels that are read or written at a time.
constexpr int64_t PIXELS_AT_A_TIME = 64;

//: `taps`: for each group of features (channels, 3, 3) as oneDNN wants them, `arranged`; `products`: null.
struct Weights {
    int64_t channels, features;
    const float *taps, *products;
};

//: How maps are cut: strips of so many rows, and groups of features. By their shape alone.
struct Cut {
    int64_t channels, height, width, rows, strips, groups, together;

    Cut(int64_t channels, int64_t features, int64_t height, int64_t width)
        : channels(channels), height(height), width(width) {
        const int64_t most = std::max<int64_t>(4, STRIP / (2 * width * channels));
        strips = (height + most - 1) / most;
        rows = (height + strips - 1) / strips;
        groups = (features + FEATURES_AT_A_TIME - 1) / FEATURES_AT_A_TIME;
        together = round_up((features + groups - 1) / groups, BLOCK);
    }
    //: A strip has its neighbours' rows around it, or zeros, and zeros behind the last row if it is cut shorter.
    const Convolution& convolution() const {
        return ecgan::convolution({1, channels, rows + 2, width, together, 3, 1, 0, 1, true}, 1);
    }
    //: Floats that the weights of a group take.
    int64_t weights_apart() const {
        return round_up(dnnl_memory_desc_get_size(&convolution().plan.weights), 64) / sizeof(float);
    }
};

//: (features, channels, 3, 3), as many features as groups have, -> `taps`.
static void arrange(const Cut& cut, const float* weights, float* taps) {
    const auto plain = laid_out({cut.together, cut.channels, 3, 3}, dnnl_f32, dnnl_nchw);
    for (int64_t group = 0; group < cut.groups; group++)
        rearrange(plain, weights + group * cut.together * cut.channels * 9, cut.convolution().plan.weights,
                  taps + group * cut.weights_apart());
}

template <class Read>
static void take_strip(const Cut& cut, int64_t image, int64_t top, const Read& read, uint16_t* strip) {
    alignas(64) float seen[PIXELS_AT_A_TIME * LANES];
    const int64_t of_row = cut.width * cut.channels;
    for (int64_t row = top - 1; row < top + cut.rows + 1; row++, strip += of_row)
        if (row < 0 || row >= cut.height)
            std::memset(strip, 0, of_row * sizeof(uint16_t));
        else
            for (int64_t first = 0; first < cut.width; first += PIXELS_AT_A_TIME)
                for (int64_t c = 0; c < cut.channels; c += LANES) {
                    const int64_t some = std::min(PIXELS_AT_A_TIME, cut.width - first);
                    read(image, row, first, some, c, seen);
                    for (int64_t i = 0; i < some; i++)
                        save_rounded(strip + (first + i) * cut.channels + c, load(seen + i * LANES));
                }
}

template <class Write>
static void give_strip(const Cut& cut, int64_t image, int64_t top, int64_t from, int64_t to, const Write& write,
                       const float* sums) {
    alignas(64) float made[PIXELS_AT_A_TIME * LANES];
    for (int64_t row = top; row < std::min(top + cut.rows, cut.height); row++)
        for (int64_t first = 0; first < cut.width; first += PIXELS_AT_A_TIME)
            for (int64_t f = from; f < to; f += LANES) {
                const int64_t some = std::min(PIXELS_AT_A_TIME, cut.width - first);
                const float* pixel = sums + ((row - top) * cut.width + first) * cut.together + f - from;
                for (int64_t i = 0; i < some; i++) save(made + i * LANES, load(pixel + i * cut.together));
                write(image, row, first, some, f, made);
            }
}

template <class Read, class Write>
static void convolve(int64_t images, int64_t height, int64_t width, const Weights& weights, int threads,
                     const Read& read, const Write& write) {
    const Cut cut(weights.channels, weights.features, height, width);
    const Convolution& made = cut.convolution();
    const Plan& plan = made.plan;
    const int64_t apart = cut.weights_apart();
    // Where there are fewer strips than threads, several share one, for some of the features each.
    const int64_t parts = std::min(cut.groups, std::max<int64_t>(1, threads / (images * cut.strips)));
    int failed = 0;
    #pragma omp parallel num_threads(threads) reduction(|: failed)
    {
        const Buffer strip = buffer_for(plan.x), sums = buffer_for(plan.y), scratch = buffer_for(plan.scratch);
        const Memory x(plan.x, strip.get()), y(plan.y, sums.get()), beside(plan.scratch, scratch.get());
        #pragma omp for schedule(dynamic)
        for (int64_t job = 0; job < images * cut.strips * parts; job++) {
            const int64_t part = job % parts, image = job / parts / cut.strips, top = job / parts % cut.strips * cut.rows;
            take_strip(cut, image, top, read, (uint16_t*)strip.get());
            for (int64_t group = part; group < cut.groups; group += parts) {
                const Memory of_group(plan.weights, weights.taps + group * apart);
                failed |= made(x, of_group, y, beside);
                const int64_t from = group * cut.together, to = std::min(weights.features, from + cut.together);
                give_strip(cut, image, top, from, to, write, sums.get());
            }
        }
    }
    insist((dnnl_status_t)failed);
}

}  // namespace ecgan
