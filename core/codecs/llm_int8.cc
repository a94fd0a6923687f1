#include "core/codecs/llm_int8.h"

#include "core/codecs/byte_levels.h"

namespace monoquant {

const Codec kLlmInt8Codec = {NumberFormat::kLlmInt8,
                             "127ths of the largest magnitude, one a byte",
                             8,
                             LevelKind::kLlmInt8,
                             -127,
                             127,
                             PackBytes,
                             UnpackBytes,
                             nullptr,
                             nullptr};

}  // namespace monoquant
