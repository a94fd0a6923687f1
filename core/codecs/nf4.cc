#include "core/codecs/nf4.h"

#include "core/codecs/nibble_levels.h"

namespace monoquant {

const Codec kNf4Codec = {
    NumberFormat::kNf4,
    "places of 16 quantiles of a normal distribution, two a byte",
    4,
    LevelKind::kNf4,
    -1,
    1,
    PackNibbles,
    UnpackNibbles<false>,
    nullptr,
    nullptr};

}  // namespace monoquant
