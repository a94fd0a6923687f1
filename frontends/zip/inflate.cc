#include "frontends/zip/inflate.h"

#include <zlib.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kInputBlock = 64 << 10;

// Gives zlib's state back on every way out.
class Stream {
 public:
  Stream() {
    // Negative window bits: no zlib header around the deflate stream.
    ok_ = inflateInit2(&z_, -MAX_WBITS) == Z_OK;
  }
  ~Stream() {
    if (ok_) inflateEnd(&z_);
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  bool ok() const { return ok_; }
  z_stream* get() { return &z_; }

 private:
  z_stream z_ = {};
  bool ok_ = false;
};

}  // namespace

absl::Status Inflate(const ByteSource& source, uint64_t offset,
                     uint64_t compressed_size, absl::Span<uint8_t> dst) {
  Stream stream;
  if (!stream.ok()) {
    return absl::ResourceExhaustedError("no memory to decompress");
  }
  z_stream& z = *stream.get();
  std::vector<uint8_t> input(
      static_cast<size_t>(std::min<uint64_t>(kInputBlock, compressed_size)));
  // zlib wants a place to write to even where nothing is left to be written;
  // a stream that uses it is too long.
  uint8_t excess = 0;
  uint64_t rest = compressed_size;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    if (z.avail_in == 0) {
      if (rest == 0)
        return absl::DataLossError("its deflate stream breaks off");
      const size_t block =
          static_cast<size_t>(std::min<uint64_t>(input.size(), rest));
      MQ_RETURN_IF_ERROR(
          source.ReadAt(offset, absl::MakeSpan(input).first(block)));
      offset += block;
      rest -= block;
      z.next_in = input.data();
      z.avail_in = static_cast<uInt>(block);
    }
    const size_t room =
        std::min<size_t>(dst.size(), std::numeric_limits<uInt>::max());
    z.next_out = room > 0 ? dst.data() : &excess;
    z.avail_out = static_cast<uInt>(std::max<size_t>(room, 1));
    result = inflate(&z, Z_NO_FLUSH);
    if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
      return absl::DataLossError("its deflate stream is damaged");
    }
    if (room == 0) {
      if (z.avail_out == 0) {
        return absl::DataLossError("its deflate stream is too long");
      }
    } else {
      dst.remove_prefix(room - z.avail_out);
    }
  }
  if (!dst.empty()) return absl::DataLossError("its deflate stream is short");
  if (rest != 0 || z.avail_in != 0) {
    return absl::DataLossError("there are bytes after its deflate stream");
  }
  return absl::OkStatus();
}

}  // namespace monoquant
