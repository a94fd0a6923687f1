#include "frontends/mobile/flat_table.h"

#include <algorithm>

#include "ir/errors.h"

namespace monoquant {

absl::Status PagedFile::ReadAt(uint64_t offset, absl::Span<uint8_t> dst) {
  if (offset > size() || dst.size() > size() - offset) {
    return DataLossError("a reference leads to byte ", offset,
                         ", but the file has only ", size());
  }
  while (!dst.empty()) {
    const uint64_t number = offset / kPageBytes;
    Page& page = pages_[static_cast<size_t>(number % kPages)];
    if (page.number != number) {
      const uint64_t begin = number * kPageBytes;
      page.bytes.resize(
          static_cast<size_t>(std::min(kPageBytes, size() - begin)));
      page.number = static_cast<uint64_t>(-1);
      MQ_RETURN_IF_ERROR(source_->ReadAt(begin, absl::MakeSpan(page.bytes)));
      page.number = number;
    }
    const auto within = static_cast<size_t>(offset % kPageBytes);
    const size_t count = std::min(dst.size(), page.bytes.size() - within);
    std::memcpy(dst.data(), page.bytes.data() + within, count);
    dst.remove_prefix(count);
    offset += count;
  }
  return absl::OkStatus();
}

absl::StatusOr<FlatTable> FlatTable::Root(PagedFile* file) {
  MQ_ASSIGN_OR_RETURN(const uint32_t offset, file->Read<uint32_t>(0));
  return At(file, offset);
}

absl::StatusOr<FlatTable> FlatTable::At(PagedFile* file, uint64_t offset) {
  FlatTable table(file, offset);
  MQ_ASSIGN_OR_RETURN(const int32_t back, file->Read<int32_t>(offset));
  const int64_t vtable = static_cast<int64_t>(offset) - back;
  if (vtable < 0) {
    return DataLossError("the table at byte ", offset, " is malformed");
  }
  table.vtable_ = static_cast<uint64_t>(vtable);
  MQ_ASSIGN_OR_RETURN(table.vtable_size_, file->Read<uint16_t>(table.vtable_));
  return table;
}

absl::StatusOr<uint64_t> FlatTable::Field(size_t id) const {
  const size_t entry = 2 * (id + 2);
  if (entry + 2 > vtable_size_) return uint64_t{0};
  MQ_ASSIGN_OR_RETURN(const uint16_t place,
                      file_->Read<uint16_t>(vtable_ + entry));
  return place == 0 ? 0 : offset_ + place;
}

absl::StatusOr<uint64_t> FlatTable::Follow(uint64_t place) const {
  MQ_ASSIGN_OR_RETURN(const uint32_t distance, file_->Read<uint32_t>(place));
  return place + distance;
}

absl::StatusOr<std::optional<FlatTable>> FlatTable::Table(size_t id) const {
  MQ_ASSIGN_OR_RETURN(const uint64_t place, Field(id));
  if (place == 0) return std::nullopt;
  MQ_ASSIGN_OR_RETURN(const uint64_t offset, Follow(place));
  MQ_ASSIGN_OR_RETURN(const FlatTable table, At(file_, offset));
  return table;
}

absl::StatusOr<FlatVector> FlatTable::VectorAt(uint64_t place,
                                               uint64_t item_size) const {
  MQ_ASSIGN_OR_RETURN(const uint64_t offset, Follow(place));
  FlatVector vector;
  MQ_ASSIGN_OR_RETURN(vector.size, file_->Read<uint32_t>(offset));
  vector.offset = offset + sizeof(uint32_t);
  if (vector.size * item_size > file_->size() - vector.offset) {
    return DataLossError("a vector of ", vector.size, " from byte ", offset,
                         " on goes beyond the end at byte ", file_->size());
  }
  return vector;
}

absl::StatusOr<FlatVector> FlatTable::Vector(size_t id,
                                             uint64_t item_size) const {
  MQ_ASSIGN_OR_RETURN(const uint64_t place, Field(id));
  if (place == 0) return FlatVector();
  return VectorAt(place, item_size);
}

absl::StatusOr<std::string> FlatTable::ReadString(uint64_t place,
                                                  size_t limit) const {
  MQ_ASSIGN_OR_RETURN(const FlatVector text, VectorAt(place, 1));
  if (text.size > limit) {
    return DataLossError("a name exceeds the limit of ", limit, " bytes");
  }
  std::string bytes(text.size, '\0');
  MQ_RETURN_IF_ERROR(file_->ReadAt(
      text.offset,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size())));
  return bytes;
}

absl::StatusOr<std::string> FlatTable::String(size_t id, size_t limit) const {
  MQ_ASSIGN_OR_RETURN(const uint64_t place, Field(id));
  if (place == 0) return std::string();
  return ReadString(place, limit);
}

absl::StatusOr<FlatTable> FlatTable::TableAt(FlatVector vector,
                                             uint32_t index) const {
  MQ_ASSIGN_OR_RETURN(
      const uint64_t offset,
      Follow(vector.offset + uint64_t{index} * sizeof(uint32_t)));
  return At(file_, offset);
}

absl::StatusOr<std::string> FlatTable::StringAt(FlatVector vector,
                                                uint32_t index,
                                                size_t limit) const {
  return ReadString(vector.offset + uint64_t{index} * sizeof(uint32_t), limit);
}

}  // namespace monoquant
