// Formats whose levels are places in a table of 16 numbers.
//
// Both tables are those of bitsandbytes 0.50.2, and so is the choice of a
// place: the one whose number is nearest, and in the middle between two the
// smaller number. A middle is rounded to float where it is none, as it is
// there.

#ifndef MONOQUANT_CORE_KERNELS_CODEBOOKS_H_
#define MONOQUANT_CORE_KERNELS_CODEBOOKS_H_

#include <cstdint>

#include "ir/codebooks.h"

namespace monoquant::element {

// A codebook has the number of each code; the middles between numbers that are
// neighbours, in order; and the code of the number above so many middles.

// Quantiles of a normal distribution, in order.
struct Nf4 {
  static constexpr const float* kNumbers = kNf4Numbers;
  static constexpr float kMiddles[15] = {
      -0.8480963706970215f,   -0.6106328964233398f,  -0.4599952697753906f,
      -0.33967941999435425f,  -0.23460739850997925f, -0.13791173696517944f,
      -0.045525018125772476f, 0.03979014977812767f,  0.120255246758461f,
      0.2035212516784668f,    0.2920137643814087f,   0.3893125355243683f,
      0.5016634464263916f,    0.6427869200706482f,   0.8614784479141235f};
  static constexpr bool kInOrder = true;
  alignas(16) static constexpr uint8_t kCodes[16] = {
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
};

// Floats of 4 bits to 12, as 12ths: a sign and 0, 1/16, 8, 12, 4, 6, 2, 3.
// There is a second 0, which numbers get that are above 0 by less than half a
// step.
struct Fp4 {
  static constexpr const float* kNumbers = kFp4Numbers;
  static constexpr float kMiddles[15] = {
      -0.8333333730697632f,    -0.5833333730697632f,
      -0.4166666865348816f,    -0.2916666865348816f,
      -0.2083333432674408f,    -0.0859375f,
      -0.0026041667442768812f, 0.0f,
      0.0026041667442768812f,  0.0859375f,
      0.2083333432674408f,     0.2916666865348816f,
      0.4166666865348816f,     0.5833333730697632f,
      0.8333333730697632f};
  static constexpr bool kInOrder = false;
  alignas(16) static constexpr uint8_t kCodes[16] = {
      11, 10, 13, 12, 15, 14, 9, 0, 8, 1, 6, 7, 4, 5, 2, 3};
};

template <typename Book>
float NumberOf(uint32_t code) {
  return Book::kNumbers[code & 15u];
}

template <typename Book>
uint8_t NearestCode(float x) {
  uint32_t above = 0;
  for (const float middle : Book::kMiddles) above += x > middle ? 1u : 0u;
  return Book::kCodes[above];
}

}  // namespace monoquant::element

#endif  // MONOQUANT_CORE_KERNELS_CODEBOOKS_H_
