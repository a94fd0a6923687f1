// Sorting with one compiled loop for everything that is sorted.

#ifndef MONOQUANT_IR_SORT_H_
#define MONOQUANT_IR_SORT_H_

#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"

namespace monoquant {

// The numbers 0 .. size - 1 in the order of `before`, which says of two of them
// whether the first has to come before the second: a strict weak order. Those
// of which none has to come first keep their order.
std::vector<size_t> SortedOrder(size_t size,
                                absl::FunctionRef<bool(size_t, size_t)> before);

// Sorts `items`, and keeps the order of equal ones. `before` as of std::sort.
//
// Lists of names and places are sorted with it, and not with std::sort, which
// is compiled anew for each kind of element: for eighteen lists that makes 2 %
// of the module that a browser loads. A comparison costs a call.
template <typename T, typename Before = std::less<T>>
void Sort(std::vector<T>& items, Before before = {}) {
  const std::vector<size_t> order =
      SortedOrder(items.size(), [&](size_t a, size_t b) {
        return before(std::as_const(items[a]), std::as_const(items[b]));
      });
  std::vector<T> sorted;
  sorted.reserve(items.size());
  for (const size_t i : order) sorted.push_back(std::move(items[i]));
  items = std::move(sorted);
}

}  // namespace monoquant

#endif  // MONOQUANT_IR_SORT_H_
