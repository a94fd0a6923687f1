// Decompression of whatever can be decompressed.

#ifndef MONOQUANT_FRONTENDS_SCAN_LENIENT_INFLATE_H_
#define MONOQUANT_FRONTENDS_SCAN_LENIENT_INFLATE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"

namespace monoquant {

enum class DeflateWrapper {
  kNone,        // as in zip archives
  kZlibOrGzip,  // told by the header
};

struct Inflated {
  std::string bytes;
  // The stream ended soundly within the limit.
  bool complete = false;
};

// The beginning of what the deflate stream at `offset` of `source` stands for:
// up to `limit` bytes, or up to where it is damaged or breaks off. Whatever
// follows the stream is not looked at. Errors are those of the source, and
// ResourceExhausted.
absl::StatusOr<Inflated> InflateLeniently(const ByteSource& source,
                                          uint64_t offset,
                                          DeflateWrapper wrapper, size_t limit);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCAN_LENIENT_INFLATE_H_
