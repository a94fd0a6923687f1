#include "core/codecs/int4.h"

#include "core/codecs/nibble_levels.h"

namespace monoquant {

const Codec kInt4Codec = {NumberFormat::kInt4,
                          "signed 4-bit integers, two a byte",
                          4,
                          LevelKind::kSigned,
                          -8,
                          7,
                          PackNibbles,
                          UnpackNibbles<true>,
                          nullptr,
                          nullptr};

const Codec kUInt4Codec = {NumberFormat::kUInt4,
                           "unsigned 4-bit integers, two a byte",
                           4,
                           LevelKind::kUnsigned,
                           0,
                           15,
                           PackNibbles,
                           UnpackNibbles<false>,
                           nullptr,
                           nullptr};

}  // namespace monoquant
