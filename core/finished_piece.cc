#include "core/finished_piece.h"

#include <cstring>

#include "absl/status/status.h"
#include "ir/errors.h"

namespace monoquant {
namespace {

void Put(uint64_t value, std::string& text) {
  for (int byte = 0; byte < 8; ++byte) {
    text.push_back(static_cast<char>(value >> (8 * byte) & 0xff));
  }
}

void Put(double value, std::string& text) {
  uint64_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  Put(bits, text);
}

// Takes numbers of 8 bytes, little-endian, from the front of a text that is a
// multiple of 8 bytes long.
class Numbers {
 public:
  explicit Numbers(absl::string_view text) : text_(text) {}

  bool empty() const { return text_.empty(); }

  uint64_t Integer() {
    if (text_.empty()) return 0;
    uint64_t value = 0;
    for (size_t byte = 0; byte < 8; ++byte) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(text_[byte]))
               << (8 * byte);
    }
    text_.remove_prefix(8);
    return value;
  }

  double Real() {
    const uint64_t bits = Integer();
    double value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
  }

 private:
  absl::string_view text_;
};

constexpr size_t kHeadNumbers = 10;
constexpr size_t kRangeNumbers = 4;

}  // namespace

std::string EncodeFinishedPiece(const FinishedPiece& piece) {
  std::string text;
  const ErrorTotals& totals = piece.error.totals();
  Put(uint64_t{piece.tensor}, text);
  Put(piece.piece, text);
  Put(piece.nonfinite, text);
  Put(totals.count, text);
  Put(totals.nonfinite, text);
  Put(totals.aa, text);
  Put(totals.bb, text);
  Put(totals.ab, text);
  Put(totals.ee, text);
  Put(totals.max_abs_error, text);
  for (const FinishedRange& range : piece.ranges) {
    Put(uint64_t{range.output}, text);
    Put(range.offset, text);
    Put(range.size, text);
    Put(uint64_t{range.crc32}, text);
  }
  return text;
}

absl::StatusOr<FinishedPiece> DecodeFinishedPiece(absl::string_view text) {
  if (text.size() < 8 * kHeadNumbers ||
      (text.size() - 8 * kHeadNumbers) % (8 * kRangeNumbers) != 0) {
    return DataLossError("no record of a finished piece");
  }
  Numbers numbers(text);
  FinishedPiece piece;
  ErrorTotals totals;
  piece.tensor = static_cast<size_t>(numbers.Integer());
  piece.piece = numbers.Integer();
  piece.nonfinite = numbers.Integer();
  totals.count = numbers.Integer();
  totals.nonfinite = numbers.Integer();
  totals.aa = numbers.Real();
  totals.bb = numbers.Real();
  totals.ab = numbers.Real();
  totals.ee = numbers.Real();
  totals.max_abs_error = numbers.Real();
  piece.error = ErrorStats(totals);
  while (!numbers.empty()) {
    FinishedRange range;
    range.output = static_cast<size_t>(numbers.Integer());
    range.offset = numbers.Integer();
    range.size = numbers.Integer();
    range.crc32 = static_cast<uint32_t>(numbers.Integer());
    piece.ranges.push_back(range);
  }
  return piece;
}

}  // namespace monoquant
