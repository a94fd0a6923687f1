// How numbers of a small set are stored: one row a number format.
//
// A codec knows nothing of scales, tensors or rounding. It stores levels: the
// numbers that its format can hold. A level of a format with scales is held in
// a byte while it is worked with, and `kind` says which number that byte is; a
// codec packs those bytes. A level of a plain cast is any value, which storing
// rounds.

#ifndef MONOQUANT_CORE_CODECS_CODEC_H_
#define MONOQUANT_CORE_CODECS_CODEC_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/level_grid.h"
#include "ir/quant_scheme.h"

namespace monoquant {

struct Codec {
  NumberFormat format;
  // One line for the documentation and for lists of formats.
  absl::string_view description;

  // Bits of a stored level: 4, 8 or 16.
  int bits;

  // Formats with scales: what a byte with a level means, and the smallest and
  // the largest number that one is.
  LevelKind kind;
  int32_t qmin;
  int32_t qmax;

  // Formats with scales: stores `levels`, whose numbers are within qmin ..
  // qmax, in ceil(levels.size() * bits / 8) bytes; bits that are left over are
  // 0.
  void (*pack)(absl::Span<const uint8_t> levels, uint8_t* bytes);
  // The inverse: reads `levels.size()` levels.
  void (*unpack)(const uint8_t* bytes, absl::Span<uint8_t> levels);

  // Plain casts: the same for values, bits / 8 bytes each.
  void (*encode)(absl::Span<const float> values, uint8_t* bytes);
  void (*decode)(const uint8_t* bytes, absl::Span<float> values);
};

}  // namespace monoquant

#endif  // MONOQUANT_CORE_CODECS_CODEC_H_
