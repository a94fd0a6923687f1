#include "core/codecs/bf16.h"

#include <cstdint>

#include "core/casts.h"
#include "ir/dtype.h"

namespace monoquant {
namespace {

void Encode(absl::Span<const float> values, uint8_t* bytes) {
  FromFloat(DType::kBF16, values, bytes);
}

void Decode(const uint8_t* bytes, absl::Span<float> values) {
  ToFloat(DType::kBF16, bytes, values);
}

}  // namespace

const Codec kBf16Codec = {NumberFormat::kBf16,
                          "bfloat16, a plain cast",
                          16,
                          LevelKind::kSigned,
                          0,
                          0,
                          nullptr,
                          nullptr,
                          Encode,
                          Decode};

}  // namespace monoquant
