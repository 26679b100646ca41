// Functions of each number of a vector.
#pragma once
#include "vectors.h"

namespace ecgan {

typedef int whole __attribute__((vector_size(4 * LANES)));

static inline vec larger(vec a, vec b) { return a > b ? a : b; }
static inline vec smaller(vec a, vec b) { return a < b ? a : b; }
static inline vec leaky(vec x, float slope) { return larger(x, x * slope); }

//: e^x to 2e-7 of itself: 2^n times a polynomial in what is left, between -1/2 and 1/2, of x / ln 2 (Taylor's terms).
static inline vec exponential(vec x) {
    const vec limit = vec{} + 87.f, power = smaller(larger(x, -limit), limit) * 1.44269504f;
    const whole n = __builtin_convertvector(power + (power > 0 ? vec{} + .5f : vec{} - .5f), whole);
    const vec r = (power - __builtin_convertvector(n, vec)) * 0.693147181f;
    vec sum = r * (1 / 720.f) + 1 / 120.f;
    sum = sum * r + 1 / 24.f;
    sum = sum * r + 1 / 6.f;
    sum = sum * r + .5f;
    sum = sum * r + 1.f;
    sum = sum * r + 1.f;
    return sum * (vec)((n + 127) << 23);
}
static inline vec sigmoid(vec x) { return 1.f / (1.f + exponential(-x)); }
//: Of 0 exactly 0, for channels that fill up a block stay it: divisions are processors' approximations, which some have
//: a little off 1 there.
static inline vec hyperbolic_tangent(vec x) {
    return x == 0 ? vec{} : 1.f - 2.f / (exponential(2 * x) + 1.f);
}

//: Attention-guided transfer, `gate` of the generator.
static inline vec gated(vec x, vec attention) { return x * (1.f + sigmoid(attention)); }

}  // namespace ecgan
