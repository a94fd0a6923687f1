#include "core/codecs/fp16.h"

#include <cstdint>

#include "core/casts.h"
#include "ir/dtype.h"

namespace monoquant {
namespace {

void Encode(absl::Span<const float> values, uint8_t* bytes) {
  FromFloat(DType::kF16, values, bytes);
}

void Decode(const uint8_t* bytes, absl::Span<float> values) {
  ToFloat(DType::kF16, bytes, values);
}

}  // namespace

const Codec kFp16Codec = {NumberFormat::kFp16,
                          "IEEE half precision, a plain cast",
                          16,
                          LevelKind::kSigned,
                          0,
                          0,
                          nullptr,
                          nullptr,
                          Encode,
                          Decode};

}  // namespace monoquant
