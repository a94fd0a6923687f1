#include "core/codecs/int4.h"

#include <cstddef>
#include <cstdint>

#include "core/kernels/kernels.h"

namespace monoquant {
namespace {

void Pack(absl::Span<const uint8_t> levels, uint8_t* bytes) {
  const size_t even = levels.size() / 2 * 2;
  ActiveKernels().pack_nibbles(levels.data(), even, bytes);
  if (even != levels.size()) bytes[even / 2] = levels[even] & 15;
}

template <bool kSigned>
void Unpack(const uint8_t* bytes, absl::Span<uint8_t> levels) {
  const size_t even = levels.size() / 2 * 2;
  const Kernels& kernels = ActiveKernels();
  kernels.unpack_nibbles(bytes, even, kSigned, levels.data());
  if (even == levels.size()) return;
  uint8_t last[2];
  kernels.unpack_nibbles(bytes + even / 2, 2, kSigned, last);
  levels[even] = last[0];
}

}  // namespace

const Codec kInt4Codec = {NumberFormat::kInt4,
                          "signed 4-bit integers, two a byte",
                          4,
                          LevelKind::kSigned,
                          -8,
                          7,
                          Pack,
                          Unpack<true>,
                          nullptr,
                          nullptr};

const Codec kUInt4Codec = {NumberFormat::kUInt4,
                           "unsigned 4-bit integers, two a byte",
                           4,
                           LevelKind::kUnsigned,
                           0,
                           15,
                           Pack,
                           Unpack<false>,
                           nullptr,
                           nullptr};

}  // namespace monoquant
