#include "frontends/zip/inflate.h"

#include <algorithm>
#include <cstddef>
#include <limits>

#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kInputBlock = 64 << 10;
constexpr size_t kSkipBlock = 32 << 10;

}  // namespace

absl::StatusOr<std::unique_ptr<InflateStream>> InflateStream::Open(
    const ByteSource& source, uint64_t offset, uint64_t compressed_size) {
  std::unique_ptr<InflateStream> stream(
      new InflateStream(source, offset, compressed_size));
  // Negative window bits: no zlib header around the deflate stream.
  if (inflateInit2(&stream->z_, -MAX_WBITS) != Z_OK) {
    return ResourceExhaustedError("no memory to decompress");
  }
  return stream;
}

InflateStream::InflateStream(const ByteSource& source, uint64_t offset,
                             uint64_t compressed_size)
    : source_(source),
      offset_(offset),
      rest_(compressed_size),
      input_(static_cast<size_t>(
          std::min<uint64_t>(kInputBlock, compressed_size))) {}

InflateStream::~InflateStream() {
  // Knows a stream that was never made.
  inflateEnd(&z_);
}

absl::Status InflateStream::Step(absl::Span<uint8_t> dst, size_t* done) {
  if (z_.avail_in == 0) {
    if (rest_ == 0) return DataLossError("its deflate stream breaks off");
    const size_t block =
        static_cast<size_t>(std::min<uint64_t>(input_.size(), rest_));
    MQ_RETURN_IF_ERROR(
        source_.ReadAt(offset_, absl::MakeSpan(input_).first(block)));
    offset_ += block;
    rest_ -= block;
    z_.next_in = input_.data();
    z_.avail_in = static_cast<uInt>(block);
  }
  const size_t room =
      std::min<size_t>(dst.size(), std::numeric_limits<uInt>::max());
  z_.next_out = dst.data();
  z_.avail_out = static_cast<uInt>(room);
  const int result = inflate(&z_, Z_NO_FLUSH);
  if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR) {
    return DataLossError("its deflate stream is damaged");
  }
  ended_ = result == Z_STREAM_END;
  *done = room - z_.avail_out;
  position_ += *done;
  return absl::OkStatus();
}

absl::Status InflateStream::Read(absl::Span<uint8_t> dst) {
  while (!dst.empty()) {
    if (ended_) return DataLossError("its deflate stream is short");
    size_t done = 0;
    MQ_RETURN_IF_ERROR(Step(dst, &done));
    dst.remove_prefix(done);
  }
  return absl::OkStatus();
}

absl::Status InflateStream::SkipTo(uint64_t position) {
  std::vector<uint8_t> skipped(static_cast<size_t>(
      std::min<uint64_t>(kSkipBlock, position - position_)));
  while (position_ < position) {
    MQ_RETURN_IF_ERROR(Read(absl::MakeSpan(skipped).first(static_cast<size_t>(
        std::min<uint64_t>(skipped.size(), position - position_)))));
  }
  return absl::OkStatus();
}

absl::Status InflateStream::ExpectEnd() {
  while (!ended_) {
    // zlib wants a place to write to even where nothing is left to be written.
    uint8_t excess;
    size_t done = 0;
    MQ_RETURN_IF_ERROR(Step(absl::MakeSpan(&excess, 1), &done));
    if (done > 0) return DataLossError("its deflate stream is too long");
  }
  if (rest_ != 0 || z_.avail_in != 0) {
    return DataLossError("there are bytes after its deflate stream");
  }
  return absl::OkStatus();
}

}  // namespace monoquant
