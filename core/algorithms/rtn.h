// "rtn": round to the nearest level, ties to the even one.
//
//   torch, one scale     q = clamp(rint(fma(x, 1 / scale, zero_point)))
//   torch, otherwise     q = clamp(rint(x * (1 / scale) + zero_point))
//   compressed-tensors   q = clamp(rint(x / scale + zero_point))
//
// in float32, fma being a multiplication and an addition with one rounding. The
// three differ for values near the middle of two levels.

#ifndef MONOQUANT_CORE_ALGORITHMS_RTN_H_
#define MONOQUANT_CORE_ALGORITHMS_RTN_H_

#include "core/algorithms/algorithm.h"

namespace monoquant {

extern const AlgorithmRow kRoundToNearest;

}  // namespace monoquant

#endif  // MONOQUANT_CORE_ALGORITHMS_RTN_H_
