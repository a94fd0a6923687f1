// How numbers of a small set are stored: one row a number format.
//
// A codec knows nothing of scales, tensors or rounding. It stores levels: the
// numbers that its format can hold. For an integer format a level is the code
// itself, a whole number from qmin to qmax; for a float format it is any value,
// which storing rounds. Levels are floats on both sides, since every level of
// every format up to 16 bits is one exactly.

#ifndef MONOQUANT_CORE_CODECS_CODEC_H_
#define MONOQUANT_CORE_CODECS_CODEC_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/quant_scheme.h"

namespace monoquant {

struct Codec {
  NumberFormat format;
  // One line for the documentation and for lists of formats.
  absl::string_view description;

  // Bits of a stored level: 4, 8 or 16.
  int bits;

  // Smallest and largest level of an integer format.
  int32_t qmin;
  int32_t qmax;

  // Stores `levels` in ceil(levels.size() * bits / 8) bytes; bits that are left
  // over are 0. Levels of integer formats must be whole and within qmin ..
  // qmax.
  void (*encode)(absl::Span<const float> levels, uint8_t* bytes);

  // The inverse: reads `levels.size()` levels.
  void (*decode)(const uint8_t* bytes, absl::Span<float> levels);
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_CODEC_H_
