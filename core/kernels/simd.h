// The tables that Highway makes: internal to core/kernels.

#ifndef MONOQUANT_CORE_KERNELS_SIMD_H_
#define MONOQUANT_CORE_KERNELS_SIMD_H_

#include <cstddef>

#include "core/kernels/kernels.h"

namespace monoquant {

inline constexpr size_t kMaxSimdTables = 4;

// Fills `tables` with those that this processor can run, the fastest first, and
// returns how many they are.
size_t FindSimdKernels(const Kernels* (&tables)[kMaxSimdTables + 1]);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_KERNELS_SIMD_H_
