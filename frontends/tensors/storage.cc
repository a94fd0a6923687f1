#include "frontends/tensors/storage.h"

#include <cstddef>
#include <cstring>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/quoted.h"

namespace monoquant {

absl::Status MemoryStorage::ReadAt(uint64_t offset,
                                   absl::Span<uint8_t> dst) const {
  if (offset > bytes_->size() || dst.size() > bytes_->size() - offset) {
    return OutOfRangeError(file_, ": storage ", QuotedName(label_),
                           " has only ", bytes_->size(), " bytes");
  }
  if (dst.empty()) return absl::OkStatus();
  std::memcpy(dst.data(), bytes_->data() + static_cast<size_t>(offset),
              dst.size());
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Storage>> FileStorage::Create(
    std::shared_ptr<const ByteSource> source, std::string file_name,
    std::string label, uint64_t offset, uint64_t size) {
  const uint64_t file_size = source->size();
  if (offset > file_size || size > file_size - offset) {
    return OutOfRangeError(absl::StrCat(
        source->name(), ": storage ", QuotedName(label), " takes ", size,
        " bytes from byte ", offset, ", but the file has only ", file_size));
  }
  return std::shared_ptr<const Storage>(
      new FileStorage(std::move(source), std::move(label),
                      FileExtent{std::move(file_name), offset, size}));
}

}  // namespace monoquant
