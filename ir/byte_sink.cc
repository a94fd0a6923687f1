#include "ir/byte_sink.h"

#include <cstring>
#include <utility>

#include "ir/errors.h"

namespace monoquant {

MemorySink::MemorySink(std::string name, uint64_t size, std::string* out)
    : name_(std::move(name)), bytes_(size, '\0'), out_(out) {}

absl::Status MemorySink::WriteAt(uint64_t offset,
                                 absl::Span<const uint8_t> src) {
  if (offset > bytes_.size() || src.size() > bytes_.size() - offset) {
    return OutOfRangeError(name_, ": writing ", src.size(), " bytes at offset ",
                           offset, " goes beyond the planned size of ",
                           bytes_.size(), " bytes");
  }
  if (!src.empty()) std::memcpy(&bytes_[offset], src.data(), src.size());
  return absl::OkStatus();
}

absl::Status MemorySink::Commit() {
  *out_ = std::move(bytes_);
  bytes_.clear();
  return absl::OkStatus();
}

}  // namespace monoquant
