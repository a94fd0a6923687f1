#include "frontends/dcp/file_pool.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<size_t> FilePool::Add(absl::string_view file) {
  const auto [it, is_new] = numbers_.try_emplace(file, files_.size());
  if (!is_new) return it->second;
  files_.push_back({std::string(file), std::string(file), 0});
  MQ_ASSIGN_OR_RETURN(
      const std::shared_ptr<ByteSource> source,
      open_.Get(it->second, /*cost=*/1, [&] { return opener_(file); }));
  files_.back().path = source->name();
  files_.back().size = source->size();
  return it->second;
}

absl::StatusOr<std::shared_ptr<ByteSource>> FilePool::Open(size_t file) const {
  return open_.Get(
      file, /*cost=*/1, [&]() -> absl::StatusOr<std::shared_ptr<ByteSource>> {
        MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source,
                            opener_(files_[file].name));
        if (source->size() == files_[file].size) return source;
        return DataLossError(
            files_[file].path, ": changed while it was read: it had ",
            files_[file].size, " bytes and now has ", source->size());
      });
}

absl::Status FilePool::ReadAt(size_t file, uint64_t offset,
                              absl::Span<uint8_t> dst) const {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source, Open(file));
  return source->ReadAt(offset, dst);
}

PooledSlice::PooledSlice(std::shared_ptr<const FilePool> pool, size_t file,
                         uint64_t offset, uint64_t size)
    : pool_(std::move(pool)),
      file_(file),
      offset_(offset),
      size_(size),
      name_(absl::StrCat(pool_->path(file), ": ", size, " bytes at ", offset)) {
}

absl::Status PooledSlice::ReadAt(uint64_t offset,
                                 absl::Span<uint8_t> dst) const {
  if (offset > size_ || dst.size() > size_ - offset) {
    return OutOfRangeError(name_, ": reading ", dst.size(), " bytes at offset ",
                           offset, " goes beyond the end at ", size_, " bytes");
  }
  return pool_->ReadAt(file_, offset_ + offset, dst);
}

}  // namespace monoquant
