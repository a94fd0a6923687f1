#include "core/codecs/fp4.h"

#include "core/codecs/nibble_levels.h"

namespace monoquant {

const Codec kFp4Codec = {NumberFormat::kFp4,
                         "4-bit floats of bitsandbytes, two a byte",
                         4,
                         LevelKind::kFp4,
                         -1,
                         1,
                         PackNibbles,
                         UnpackNibbles<false>,
                         nullptr,
                         nullptr};

}  // namespace monoquant
