// The bytes that tensors are views of.

#ifndef MONOQUANT_FRONTENDS_TENSORS_STORAGE_H_
#define MONOQUANT_FRONTENDS_TENSORS_STORAGE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// One storage of a container: a member of an archive, a stretch of a file,
// bytes in memory. Tensors are tied if they are equal views of one object of
// this class. Thread-safe.
class Storage {
 public:
  virtual ~Storage() = default;

  // The file that it lies in, for messages.
  virtual const std::string& file() const = 0;
  // What the container calls it, for messages: "data/0".
  virtual std::string label() const = 0;

  virtual uint64_t size() const = 0;

  // Fills `dst` with the bytes from `offset` on, all of which exist. Checks
  // what the container's checksums can tell. DataLoss if it is damaged; errors
  // of the source are passed on.
  virtual absl::Status ReadAt(uint64_t offset,
                              absl::Span<uint8_t> dst) const = 0;

  // Where its bytes lie in a file as they are, if they do.
  virtual std::optional<FileExtent> Locate() const { return std::nullopt; }
};

// Bytes that were found in an index.
class MemoryStorage : public Storage {
 public:
  MemoryStorage(std::string file, std::string label, std::string bytes)
      : MemoryStorage(std::move(file), std::move(label),
                      std::make_shared<const std::string>(std::move(bytes))) {}
  MemoryStorage(std::string file, std::string label,
                std::shared_ptr<const std::string> bytes)
      : file_(std::move(file)),
        label_(std::move(label)),
        bytes_(std::move(bytes)) {}

  const std::string& file() const override { return file_; }
  std::string label() const override { return label_; }
  uint64_t size() const override { return bytes_->size(); }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override;

 private:
  const std::string file_;
  const std::string label_;
  const std::shared_ptr<const std::string> bytes_;
};

// A stretch of a file.
class FileStorage : public Storage {
 public:
  // Bytes [offset, offset + size) of `source`, whose bare name is `file_name`.
  // OutOfRange if it does not have them.
  static absl::StatusOr<std::shared_ptr<const Storage>> Create(
      std::shared_ptr<const ByteSource> source, std::string file_name,
      std::string label, uint64_t offset, uint64_t size);

  const std::string& file() const override { return source_->name(); }
  std::string label() const override { return label_; }
  uint64_t size() const override { return extent_.size; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    return source_->ReadAt(extent_.offset + offset, dst);
  }
  std::optional<FileExtent> Locate() const override { return extent_; }

 private:
  FileStorage(std::shared_ptr<const ByteSource> source, std::string label,
              FileExtent extent)
      : source_(std::move(source)),
        label_(std::move(label)),
        extent_(std::move(extent)) {}

  const std::shared_ptr<const ByteSource> source_;
  const std::string label_;
  const FileExtent extent_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_STORAGE_H_
