// A member of a zip archive as a storage.

#ifndef MONOQUANT_FRONTENDS_TORCH_ZIP_STORAGE_H_
#define MONOQUANT_FRONTENDS_TORCH_ZIP_STORAGE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "frontends/tensors/storage.h"
#include "frontends/zip/zip_archive.h"

namespace monoquant {

class ZipStorage : public Storage {
 public:
  // `file_name`: the bare name of the file in which the archive begins at
  // `file_offset`.
  ZipStorage(std::shared_ptr<const ZipArchive> zip, size_t member,
             std::string label, std::string file_name, uint64_t file_offset)
      : zip_(std::move(zip)),
        member_(member),
        label_(std::move(label)),
        file_name_(std::move(file_name)),
        file_offset_(file_offset) {}

  const std::string& file() const override { return zip_->name(); }
  std::string label() const override { return label_; }
  uint64_t size() const override { return zip_->entry(member_).size; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    return zip_->ReadAt(member_, offset, dst);
  }
  std::optional<FileExtent> Locate() const override {
    if (zip_->entry(member_).method != ZipMethod::kStored) return std::nullopt;
    const auto offset = zip_->DataOffset(member_);
    if (!offset.ok()) return std::nullopt;
    return FileExtent{file_name_, file_offset_ + *offset, size()};
  }

 private:
  const std::shared_ptr<const ZipArchive> zip_;
  const size_t member_;
  const std::string label_;
  const std::string file_name_;
  const uint64_t file_offset_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_ZIP_STORAGE_H_
