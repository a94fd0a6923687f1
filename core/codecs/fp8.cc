#include "core/codecs/fp8.h"

#include "core/codecs/byte_levels.h"

namespace monoquant {

const Codec kFp8E4M3Codec = {NumberFormat::kFp8E4M3,
                             "8-bit floats with 3 bits of mantissa, one a byte",
                             8,
                             LevelKind::kE4M3,
                             -448,
                             448,
                             PackBytes,
                             UnpackBytes,
                             nullptr,
                             nullptr};

const Codec kFp8E5M2Codec = {NumberFormat::kFp8E5M2,
                             "8-bit floats with 2 bits of mantissa, one a byte",
                             8,
                             LevelKind::kE5M2,
                             -57344,
                             57344,
                             PackBytes,
                             UnpackBytes,
                             nullptr,
                             nullptr};

}  // namespace monoquant
