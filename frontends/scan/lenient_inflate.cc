#include "frontends/scan/lenient_inflate.h"

#include <zlib.h>

#include <algorithm>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kInputBlock = 64 << 10;
constexpr size_t kOutputBlock = 64 << 10;
// The best that deflate can do, and the last block.
constexpr uint64_t kMaxRatio = 1040;

// Gives zlib's state back on every way out.
class Stream {
 public:
  explicit Stream(int window_bits) {
    ok_ = inflateInit2(&z_, window_bits) == Z_OK;
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

absl::StatusOr<Inflated> InflateLeniently(const ByteSource& source,
                                          uint64_t offset,
                                          DeflateWrapper wrapper,
                                          size_t limit) {
  // Negative: no header. 32 more: the header of zlib or of gzip.
  Stream stream(wrapper == DeflateWrapper::kNone ? -MAX_WBITS : MAX_WBITS + 32);
  if (!stream.ok()) {
    return ResourceExhaustedError("no memory to decompress");
  }
  z_stream& z = *stream.get();
  Inflated result;
  std::vector<uint8_t> input(kInputBlock);
  std::vector<uint8_t> output(std::min(kOutputBlock, limit));
  // Growing would copy; pages that are never written to are never taken. No
  // more than deflate can make of what is there.
  const uint64_t available = source.size() - std::min(source.size(), offset);
  result.bytes.reserve(static_cast<size_t>(std::min<uint64_t>(
      limit, std::min<uint64_t>(limit, available) * kMaxRatio)));
  while (result.bytes.size() < limit) {
    if (z.avail_in == 0) {
      const uint64_t rest = source.size() - std::min(source.size(), offset);
      const auto block =
          static_cast<size_t>(std::min<uint64_t>(input.size(), rest));
      if (block == 0) return result;
      MQ_RETURN_IF_ERROR(
          source.ReadAt(offset, absl::MakeSpan(input).first(block)));
      offset += block;
      z.next_in = input.data();
      z.avail_in = static_cast<uInt>(block);
    }
    const size_t room = std::min(output.size(), limit - result.bytes.size());
    z.next_out = output.data();
    z.avail_out = static_cast<uInt>(room);
    const int status = inflate(&z, Z_NO_FLUSH);
    result.bytes.append(reinterpret_cast<const char*>(output.data()),
                        room - z.avail_out);
    if (status == Z_STREAM_END) {
      result.complete = true;
      return result;
    }
    if (status != Z_OK && status != Z_BUF_ERROR) return result;
  }
  return result;
}

}  // namespace monoquant
