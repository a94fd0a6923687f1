#include "core/code_rows.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "core/codecs/byte_levels.h"

namespace monoquant {
namespace {

constexpr uint64_t kEndless = std::numeric_limits<uint64_t>::max();

// Exchanges the two levels of each byte.
void SwapPairs(absl::Span<uint8_t> levels) {
  for (size_t i = 0; i + 1 < levels.size(); i += 2) {
    std::swap(levels[i], levels[i + 1]);
  }
}

}  // namespace

CodeRows::CodeRows(const Codec& codec, uint64_t row, const CodePacking& packing)
    : codec_(&codec),
      bits_(packing.code_bytes ? 8 : static_cast<uint64_t>(codec.bits)),
      row_(row),
      row_bytes_(0),
      flip_(0),
      first_high_(packing.first_code_high),
      code_bytes_(packing.code_bytes) {
  // Codes in what a row takes a multiple of.
  const uint64_t unit = std::max<uint64_t>(1, packing.row_bytes * 8 / bits_);
  if (row % unit == 0) {
    row_ = kEndless;
  } else {
    row_bytes_ = (row / unit + 1) * packing.row_bytes;
  }
  // A level has its sign in all upper bits of its byte.
  if (packing.offset) flip_ = static_cast<uint8_t>(-(1 << (codec.bits - 1)));
}

bool CodeRows::stores_levels() const {
  return bits_ == 8 && row_ == kEndless && flip_ == 0;
}

uint64_t CodeRows::ByteOf(uint64_t element) const {
  // Asked for every tile, so without a division where rows leave no gaps.
  const uint64_t row = row_ == kEndless ? 0 : element / row_;
  const uint64_t in_row = element - row * row_;
  return row * row_bytes_ + in_row * bits_ / 8;
}

uint64_t CodeRows::BytesOf(uint64_t first, uint64_t count) const {
  return ByteOf(first + count) - ByteOf(first);
}

void CodeRows::PackCodes(absl::Span<const uint8_t> levels,
                         uint8_t* bytes) const {
  if (code_bytes_) {
    PackBytes(levels, bytes);
  } else {
    codec_->pack(levels, bytes);
  }
}

void CodeRows::Pack(uint64_t first, absl::Span<uint8_t> levels,
                    uint8_t* bytes) const {
  if (flip_ != 0) {
    for (uint8_t& level : levels) level ^= flip_;
  }
  if (first_high_) SwapPairs(levels);
  while (!levels.empty()) {
    const uint64_t left_in_row = row_ - first % row_;
    const size_t count =
        static_cast<size_t>(std::min<uint64_t>(left_in_row, levels.size()));
    PackCodes(levels.first(count), bytes);
    uint8_t* const end = bytes + BytesOf(first, count);
    bytes += (count * static_cast<size_t>(bits_) + 7) / 8;
    std::fill(bytes, end, uint8_t{0});
    bytes = end;
    first += count;
    levels.remove_prefix(count);
  }
}

// Reads the levels of codes that begin with a byte.
void CodeRows::UnpackCodes(const uint8_t* bytes,
                           absl::Span<uint8_t> levels) const {
  if (code_bytes_) {
    UnpackBytes(bytes, levels);
    return;
  }
  if (!first_high_) {
    codec_->unpack(bytes, levels);
    return;
  }
  const size_t even = levels.size() / 2 * 2;
  codec_->unpack(bytes, levels.first(even));
  SwapPairs(levels.first(even));
  if (even == levels.size()) return;
  uint8_t pair[2];
  codec_->unpack(bytes + even / 2, absl::MakeSpan(pair));
  levels[even] = pair[1];
}

void CodeRows::Unpack(uint64_t first, const uint8_t* bytes,
                      absl::Span<uint8_t> levels) const {
  const uint64_t per_byte = std::max<uint64_t>(1, 8 / bits_);
  const uint64_t begin = ByteOf(first);
  const absl::Span<uint8_t> all = levels;
  while (!levels.empty()) {
    const uint64_t in_row = first % row_;
    size_t count =
        static_cast<size_t>(std::min<uint64_t>(row_ - in_row, levels.size()));
    const uint8_t* at = bytes + (ByteOf(first) - begin);
    const uint64_t in_byte = in_row % per_byte;
    if (in_byte == 0) {
      UnpackCodes(at, levels.first(count));
    } else {
      // Starts inside a byte: decode that byte and keep its end.
      uint8_t whole[8];
      UnpackCodes(at, absl::MakeSpan(whole, per_byte));
      count = std::min<size_t>(count, per_byte - in_byte);
      std::copy(whole + in_byte, whole + in_byte + count, levels.begin());
    }
    first += count;
    levels.remove_prefix(count);
  }
  if (flip_ == 0) return;
  for (uint8_t& level : all) level ^= flip_;
}

}  // namespace monoquant
