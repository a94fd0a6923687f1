#include "core/codecs/fp4_e2m1.h"

#include "core/codecs/nibble_levels.h"

namespace monoquant {

const Codec kFp4E2M1Codec = {NumberFormat::kFp4E2M1,
                             "4-bit floats with 1 bit of mantissa, two a byte",
                             4,
                             LevelKind::kE2M1,
                             -6,
                             6,
                             PackNibbles,
                             UnpackNibbles<false>,
                             nullptr,
                             nullptr};

}  // namespace monoquant
