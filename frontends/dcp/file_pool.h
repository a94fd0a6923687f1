// The files of a checkpoint that has more of them than a process may have open.

#ifndef MONOQUANT_FRONTENDS_DCP_FILE_POOL_H_
#define MONOQUANT_FRONTENDS_DCP_FILE_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/dcp/lru_cache.h"
#include "ir/byte_source.h"

namespace monoquant {

// Opens files again when they are needed; keeps kMaxOpen open. Files are added
// while a checkpoint is opened; afterwards this is thread-safe.
class FilePool {
 public:
  static constexpr size_t kMaxOpen = 128;

  explicit FilePool(const CheckpointFiles& files)
      : opener_(files.open), open_(kMaxOpen) {}

  // The number of a file, which is opened now if it was not added before.
  // Errors of the opener.
  absl::StatusOr<size_t> Add(absl::string_view file);

  // Its bare name.
  const std::string& name(size_t file) const { return files_[file].name; }
  // What error messages call it.
  const std::string& path(size_t file) const { return files_[file].path; }
  uint64_t size(size_t file) const { return files_[file].size; }

  // Fills `dst` with the file's bytes from `offset` on. DataLoss if it has
  // another size than it had before.
  absl::Status ReadAt(size_t file, uint64_t offset,
                      absl::Span<uint8_t> dst) const;

 private:
  struct File {
    std::string name;
    std::string path;
    uint64_t size;
  };

  absl::StatusOr<std::shared_ptr<ByteSource>> Open(size_t file) const;

  const CheckpointFiles::Opener opener_;
  std::vector<File> files_;
  absl::flat_hash_map<std::string, size_t> numbers_;
  mutable LruCache<ByteSource> open_;
};

// A part of a file of a pool, as a source of its own. The range is inside of
// the file.
class PooledSlice : public ByteSource {
 public:
  PooledSlice(std::shared_ptr<const FilePool> pool, size_t file,
              uint64_t offset, uint64_t size);

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override;

 private:
  const std::shared_ptr<const FilePool> pool_;
  const size_t file_;
  const uint64_t offset_;
  const uint64_t size_;
  const std::string name_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_FILE_POOL_H_
