#include "core/kernels/error_block.h"

#include <algorithm>

namespace monoquant {

void DeriveProducts(ErrorBlock& block) {
  for (size_t lane = 0; lane < kLanes; ++lane) {
    block.ab[lane] = (block.aa[lane] + block.bb[lane] - block.ee[lane]) / 2;
  }
}

bool AddBlock(const ErrorBlock& block, ErrorSums* sums) {
  // Far from where squares become subnormal or infinite. (NaN is not less.)
  constexpr float kSmallest = 0x1p-60f;
  constexpr float kLargest = 0x1p100f;
  float aa = 0;
  float bb = 0;
  float ee = 0;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    aa += block.aa[lane];
    bb += block.bb[lane];
    ee += block.ee[lane];
  }
  if (!(aa > kSmallest && aa < kLargest && bb < kLargest && ee < kLargest))
    return false;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    sums->aa[lane] += static_cast<double>(block.aa[lane]);
    sums->ab[lane] += static_cast<double>(block.ab[lane]);
    sums->bb[lane] += static_cast<double>(block.bb[lane]);
    sums->ee[lane] += static_cast<double>(block.ee[lane]);
    sums->max_abs_error[lane] = std::max(sums->max_abs_error[lane],
                                         static_cast<double>(block.max[lane]));
  }
  return true;
}

}  // namespace monoquant
