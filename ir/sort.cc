#include "ir/sort.h"

#include <algorithm>
#include <numeric>

namespace monoquant {

std::vector<size_t> SortedOrder(
    size_t size, absl::FunctionRef<bool(size_t, size_t)> before) {
  std::vector<size_t> order(size);
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), before);
  return order;
}

}  // namespace monoquant
