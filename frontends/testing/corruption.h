// Every way in which a small file can be cut off or have one byte changed.

#ifndef MONOQUANT_FRONTENDS_TESTING_CORRUPTION_H_
#define MONOQUANT_FRONTENDS_TESTING_CORRUPTION_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"

namespace monoquant::testing {

// Calls check(bytes, size) with every beginning of `good` but all of it.
template <typename Check>
void ForEachTruncation(absl::string_view good, Check check) {
  for (size_t size = 0; size < good.size(); ++size) {
    check(std::string(good.substr(0, size)), size);
  }
}

// Calls check(bytes, position) with every byte of `good` changed: one bit at
// either end flipped, all bits flipped, and set to 0 and 0xFF.
template <typename Check>
void ForEachChangedByte(absl::string_view good, Check check) {
  for (size_t i = 0; i < good.size(); ++i) {
    const auto byte = static_cast<unsigned char>(good[i]);
    for (int changed : {byte ^ 0x01, byte ^ 0x80, byte ^ 0xFF, 0x00, 0xFF}) {
      if (changed == byte) continue;
      std::string bad(good);
      bad[i] = static_cast<char>(changed);
      check(bad, i);
    }
  }
}

}  // namespace monoquant::testing

#endif  // MONOQUANT_FRONTENDS_TESTING_CORRUPTION_H_
