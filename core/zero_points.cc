#include "core/zero_points.h"

#include <cstring>

namespace monoquant {

size_t ZeroPointBytes(DType dtype) {
  if (dtype == DType::kI64) return sizeof(int64_t);
  return dtype == DType::kF32 ? sizeof(float) : 1;
}

void StoreZeroPoint(DType dtype, int32_t zero_point, uint8_t* dst) {
  if (dtype == DType::kF32) {
    const float value = static_cast<float>(zero_point);
    std::memcpy(dst, &value, sizeof(value));
    return;
  }
  // Two's complement, from the lowest byte on.
  const uint64_t value = static_cast<uint64_t>(int64_t{zero_point});
  for (size_t i = 0; i < ZeroPointBytes(dtype); ++i) {
    dst[i] = static_cast<uint8_t>(value >> (8 * i));
  }
}

double LoadWideZeroPoint(DType dtype, const uint8_t* src) {
  if (dtype == DType::kF32) {
    float value;
    std::memcpy(&value, src, sizeof(value));
    return value;
  }
  int64_t value;
  std::memcpy(&value, src, sizeof(value));
  return static_cast<double>(value);
}

}  // namespace monoquant
