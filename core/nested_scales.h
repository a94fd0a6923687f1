// Scales that are quantized themselves, as bitsandbytes does it ("double
// quantization", QuantStorage::kBitsandbytesNested).
//
// From all scales of a tensor their mean is taken off, which is the offset.
// What is left is divided, in blocks of kNestedBlock scales, by its largest
// magnitude, and has a code of 8 bits each: the place of a number in
// kNestedNumbers (ir/codebooks.h).

#ifndef MONOQUANT_CORE_NESTED_SCALES_H_
#define MONOQUANT_CORE_NESTED_SCALES_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/level_grid.h"

namespace monoquant {

// The sum of scales, which are finite and not negative. It is exact, so that it
// is the same in whatever order they come. For up to 2^40 of them, which are
// those of 100 TB.
class ScaleSum {
 public:
  void Add(absl::Span<const QParams> params);
  void Merge(const ScaleSum& other);

  // The sum divided by `count`, which is not 0: rounded to double a few times,
  // and to float once.
  float Mean(uint64_t count) const;

 private:
  // Mantissas by exponent: element i counts 2^(i - 149).
  std::array<uint64_t, 254> sums_ = {};
};

// Scales as they are stored.
struct NestedScales {
  std::vector<uint8_t> codes;
  std::vector<float> block_scales;
  // The parameters that these stand for: number * block scale + offset, each
  // rounded to float32. A scale may have become 0 or negative, as in
  // bitsandbytes.
  std::vector<QParams> params;
};

// Bytes of NestedScales for so many scales.
uint64_t NestedScalesBytes(uint64_t scales);

// Quantizes scales, the first of which is the first of a block, and which are
// finite and not negative. The last block may be short. As quantize_blockwise
// of bitsandbytes 0.50.2 has it on a processor, to the bit.
void QuantizeScales(absl::Span<const QParams> params, float offset,
                    NestedScales* nested);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_NESTED_SCALES_H_
