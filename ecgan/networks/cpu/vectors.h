// As many floats at once as the processor takes, and memory for them.
#pragma once
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ecgan {

#if !defined(ECGAN_LANES)  // tests say another number
#if defined(__AVX512F__)
#define ECGAN_LANES 16
#elif defined(__AVX2__) && defined(__FMA__)
#define ECGAN_LANES 8
#else
#define ECGAN_LANES 4
#endif
#endif
constexpr int LANES = ECGAN_LANES;

//: Channels of a map are laid out in multiples of so many, on any processor.
constexpr int64_t BLOCK = 16;

typedef float vec __attribute__((vector_size(4 * LANES)));
typedef float unaligned_vec __attribute__((vector_size(4 * LANES), aligned(4), may_alias));

static inline vec load(const float* from) { return *(const unaligned_vec*)from; }
static inline void save(float* to, vec value) { *(unaligned_vec*)to = value; }

//: a * b + c, rounded once where the processor can.
static inline vec multiply_add(vec a, float b, vec c) {
#if ECGAN_LANES == 16 && defined(__AVX512F__)
    return (vec)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)c);
#elif ECGAN_LANES == 8 && defined(__AVX2__) && defined(__FMA__)
    return (vec)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(b), (__m256)c);
#else
    return a * b + c;
#endif
}

static inline int64_t round_up(int64_t value, int64_t step) { return (value + step - 1) / step * step; }

struct Release {
    void operator()(float* memory) const { std::free(memory); }
};
typedef std::unique_ptr<float[], Release> Buffer;

static inline Buffer buffer(int64_t count) {
    void* memory = aligned_alloc(64, round_up(std::max<int64_t>(count, 1) * sizeof(float), 64));
    if (!memory) throw std::bad_alloc();
    return Buffer((float*)memory);
}

//: Memory for each of several threads. It comes from the thread that asks: what another one asks for, the C library keeps
//: for that one alone.
class Shares {
    int64_t each;
    Buffer all;

public:
    Shares(int threads, int64_t count) : each(round_up(count, BLOCK)), all(buffer(threads * each)) {}
    float* of(int thread) const { return all.get() + thread * each; }
};

}  // namespace ecgan
