// Reads the arguments of pickle instructions.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_CURSOR_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_CURSOR_H_

#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {

// What errors say that more bytes could mend.
inline constexpr absl::string_view kTruncatedPickle = "the pickle is truncated";

// A place in a pickle. Whatever is taken is a slice of it; taking more than
// there is, or a string beyond the limit, is DataLoss and takes nothing.
class PickleCursor {
 public:
  PickleCursor(absl::string_view bytes, size_t max_string_bytes)
      : bytes_(bytes), max_string_bytes_(max_string_bytes) {}

  size_t position() const { return position_; }
  // True once more was wanted than there is.
  bool truncated() const { return truncated_; }

  absl::StatusOr<absl::string_view> Take(uint64_t size) {
    truncated_ |= size > bytes_.size() - position_;
    MQ_RETURN_IF_ERROR(Need(size));
    const size_t start = position_;
    position_ += static_cast<size_t>(size);
    return bytes_.substr(start, static_cast<size_t>(size));
  }

  // Fails unless `size` bytes follow.
  absl::Status Need(uint64_t size) const {
    if (size <= bytes_.size() - position_) return absl::OkStatus();
    return DataLossError(kTruncatedPickle,
                         ": an instruction goes on beyond its end at byte ",
                         bytes_.size());
  }

  absl::StatusOr<absl::string_view> TakeString(uint64_t size) {
    if (size > max_string_bytes_) {
      return DataLossError("the size of a string exceeds the limit of ",
                           max_string_bytes_);
    }
    return Take(size);
  }

  // Up to a newline, which is taken too but not part of the result.
  absl::StatusOr<absl::string_view> TakeLine() {
    const absl::string_view rest = bytes_.substr(position_);
    const size_t size = rest.find('\n');
    // Without a newline: more than there is, for the error.
    if (size == rest.npos) return Take(uint64_t{rest.size()} + 1);
    MQ_ASSIGN_OR_RETURN(const absl::string_view line, TakeString(size));
    ++position_;
    return line;
  }

  // A little-endian number.
  template <typename Int>
  absl::StatusOr<Int> TakeInt() {
    MQ_ASSIGN_OR_RETURN(const absl::string_view bytes, Take(sizeof(Int)));
    uint64_t value = 0;
    for (size_t i = sizeof(Int); i-- > 0;) {
      value = value << 8 | static_cast<unsigned char>(bytes[i]);
    }
    return static_cast<Int>(value);
  }

 private:
  const absl::string_view bytes_;
  const size_t max_string_bytes_;
  size_t position_ = 0;
  bool truncated_ = false;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_CURSOR_H_
