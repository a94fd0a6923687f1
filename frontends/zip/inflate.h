// Decompression of deflated zip members.

#ifndef MONOQUANT_FRONTENDS_ZIP_INFLATE_H_
#define MONOQUANT_FRONTENDS_ZIP_INFLATE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"

namespace monoquant {

// Inflates the raw deflate stream in bytes [offset, offset + compressed_size)
// of `source` into `dst`. DataLoss, without a file name, unless the stream is
// sound, ends at its last byte and gives exactly dst.size() bytes; errors of
// the source are passed on. Needs some 100 KB besides `dst`.
absl::Status Inflate(const ByteSource& source, uint64_t offset,
                     uint64_t compressed_size, absl::Span<uint8_t> dst);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_INFLATE_H_
