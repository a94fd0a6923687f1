// Decompression of deflated zip members.

#ifndef MONOQUANT_FRONTENDS_ZIP_INFLATE_H_
#define MONOQUANT_FRONTENDS_ZIP_INFLATE_H_

#include <zlib.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"

namespace monoquant {

// A raw deflate stream that lies in a source, inflated from its beginning
// onwards. Takes some 100 KB. Its errors are DataLoss, without a file name, for
// a stream that is unsound or too short; those of the source are passed on.
// After an error it is of no more use.
class InflateStream {
 public:
  // The stream in bytes [offset, offset + compressed_size) of `source`, which
  // must outlive it.
  static absl::StatusOr<std::unique_ptr<InflateStream>> Open(
      const ByteSource& source, uint64_t offset, uint64_t compressed_size);
  ~InflateStream();

  // How many bytes have been inflated.
  uint64_t position() const { return position_; }

  // Fills `dst` with the bytes that follow.
  absl::Status Read(absl::Span<uint8_t> dst);

  // Passes over the bytes up to `position`, which is not below position().
  absl::Status SkipTo(uint64_t position);

  // DataLoss unless the stream ends here, at the last of its compressed bytes.
  absl::Status ExpectEnd();

 private:
  InflateStream(const ByteSource& source, uint64_t offset,
                uint64_t compressed_size);

  // Inflates once, to `dst`. Sets `*done` to the bytes that were written.
  absl::Status Step(absl::Span<uint8_t> dst, size_t* done);

  const ByteSource& source_;
  uint64_t offset_;  // of the compressed bytes that have not been read
  uint64_t rest_;    // how many there are
  uint64_t position_ = 0;
  bool ended_ = false;
  std::vector<uint8_t> input_;
  z_stream z_ = {};
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_INFLATE_H_
