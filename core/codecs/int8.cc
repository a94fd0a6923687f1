#include "core/codecs/int8.h"

#include "core/codecs/byte_levels.h"

namespace monoquant {

const Codec kInt8Codec = {NumberFormat::kInt8,
                          "signed 8-bit integers, one a byte",
                          8,
                          LevelKind::kSigned,
                          -128,
                          127,
                          PackBytes,
                          UnpackBytes,
                          nullptr,
                          nullptr};

const Codec kUInt8Codec = {NumberFormat::kUInt8,
                           "unsigned 8-bit integers, one a byte",
                           8,
                           LevelKind::kUnsigned,
                           0,
                           255,
                           PackBytes,
                           UnpackBytes,
                           nullptr,
                           nullptr};

}  // namespace monoquant
