#include "core/casts.h"

#include <cstddef>
#include <cstring>

#include "core/kernels/element.h"
#include "core/kernels/kernels.h"
#include "core/kernels/small_floats.h"

namespace monoquant {

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
              "payload is copied between memory and files as it is");

float HalfToFloat(uint16_t bits) { return element::FromHalf(bits); }
uint16_t FloatToHalf(float value) { return element::ToHalf(value); }
float BFloat16ToFloat(uint16_t bits) { return element::FromBFloat16(bits); }
uint16_t FloatToBFloat16(float value) { return element::ToBFloat16(value); }

bool ToFloat(DType dtype, const uint8_t* src, absl::Span<float> dst) {
  switch (dtype) {
    case DType::kF16:
      return ActiveKernels().half_to_float(src, dst.size(), dst.data());
    case DType::kBF16:
      return ActiveKernels().bfloat16_to_float(src, dst.size(), dst.data());
    case DType::kF64:
      for (size_t i = 0; i < dst.size(); ++i) {
        double value;
        std::memcpy(&value, src + i * sizeof(value), sizeof(value));
        dst[i] = static_cast<float>(value);
      }
      break;
    case DType::kF8E4M3:
      for (size_t i = 0; i < dst.size(); ++i) {
        dst[i] = element::E4M3::FromCode(src[i]);
      }
      break;
    case DType::kF8E8M0:
    case DType::kU8:
      for (size_t i = 0; i < dst.size(); ++i) {
        dst[i] = element::FromE8M0(src[i]);
      }
      break;
    default:  // F32, by the contract
      if (!dst.empty())
        std::memcpy(dst.data(), src, dst.size() * sizeof(float));
      break;
  }
  return ActiveKernels().count_nonfinite(dst.data(), dst.size()) == 0;
}

void FromFloat(DType dtype, absl::Span<const float> src, uint8_t* dst) {
  switch (dtype) {
    case DType::kF16:
      ActiveKernels().float_to_half(src.data(), src.size(), dst);
      return;
    case DType::kBF16:
      ActiveKernels().float_to_bfloat16(src.data(), src.size(), dst);
      return;
    case DType::kF64:
      for (size_t i = 0; i < src.size(); ++i) {
        const double value = static_cast<double>(src[i]);
        std::memcpy(dst + i * sizeof(value), &value, sizeof(value));
      }
      return;
    case DType::kF8E4M3:
      for (size_t i = 0; i < src.size(); ++i) {
        dst[i] = element::E4M3::ToCode(src[i]);
      }
      return;
    case DType::kF8E8M0:
    case DType::kU8:
      for (size_t i = 0; i < src.size(); ++i) {
        dst[i] = element::ToE8M0(src[i]);
      }
      return;
    default:  // F32, by the contract
      if (!src.empty())
        std::memcpy(dst, src.data(), src.size() * sizeof(float));
      return;
  }
}

}  // namespace monoquant
