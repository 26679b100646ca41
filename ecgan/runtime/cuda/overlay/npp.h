// Stands in for the header of NVIDIA's image library where that is not installed: every operator that Jittor 1.3.11
// compiles includes it, for these numbers.
#ifndef ECGAN_NPP_H_
#define ECGAN_NPP_H_

#include <climits>

#define NPP_MIN_32U 0
#define NPP_MAX_32U UINT_MAX
#define NPP_MIN_32S INT_MIN
#define NPP_MAX_32S INT_MAX
#define NPP_MIN_64U 0
#define NPP_MAX_64U ULLONG_MAX
#define NPP_MIN_64S LLONG_MIN
#define NPP_MAX_64S LLONG_MAX

#endif
