// From sums in float over a block of errors to sums in double.

#ifndef MONOQUANT_CORE_KERNELS_ERROR_BLOCK_H_
#define MONOQUANT_CORE_KERNELS_ERROR_BLOCK_H_

#include <cstddef>

#include "core/kernels/kernels.h"

namespace monoquant {

// What Kernels::add_errors gathers, element i in lane i % kLanes.
struct ErrorBlock {
  float aa[kLanes] = {};
  float ab[kLanes] = {};
  float bb[kLanes] = {};
  float ee[kLanes] = {};
  float max[kLanes] = {};  // of the magnitude of errors
};

// Sets ab from the other sums.
void DeriveProducts(ErrorBlock& block);

// Adds the block to `sums`, unless squares were too large or too small for
// float: false then.
bool AddBlock(const ErrorBlock& block, ErrorSums* sums);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_KERNELS_ERROR_BLOCK_H_
