#include "core/codecs/fp16.h"

#include <cstdint>

#include "core/casts.h"
#include "ir/dtype.h"

namespace monoquant {
namespace {

void Encode(absl::Span<const float> levels, uint8_t* bytes) {
  FromFloat(DType::kF16, levels, bytes);
}

void Decode(const uint8_t* bytes, absl::Span<float> levels) {
  ToFloat(DType::kF16, bytes, levels);
}

}  // namespace

const Codec kFp16Codec = {NumberFormat::kFp16,
                          "IEEE half precision, a plain cast",
                          16,
                          0,
                          0,
                          Encode,
                          Decode};

}  // namespace monoquant
