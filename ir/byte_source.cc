#include "ir/byte_source.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::Status CheckRange(const ByteSource& source, uint64_t offset,
                        uint64_t size) {
  if (offset > source.size() || size > source.size() - offset) {
    return OutOfRangeError(source.name(), ": reading ", size,
                           " bytes at offset ", offset,
                           " goes beyond the end at ", source.size(), " bytes");
  }
  return absl::OkStatus();
}

class SlicedSource : public ByteSource {
 public:
  SlicedSource(std::shared_ptr<const ByteSource> base, uint64_t offset,
               uint64_t size, std::string name)
      : base_(std::move(base)),
        offset_(offset),
        size_(size),
        name_(std::move(name)) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }
  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    MQ_RETURN_IF_ERROR(CheckRange(*this, offset, dst.size()));
    return base_->ReadAt(offset_ + offset, dst);
  }

 private:
  std::shared_ptr<const ByteSource> base_;
  uint64_t offset_;
  uint64_t size_;
  std::string name_;
};

}  // namespace

absl::Status MemorySource::ReadAt(uint64_t offset,
                                  absl::Span<uint8_t> dst) const {
  MQ_RETURN_IF_ERROR(CheckRange(*this, offset, dst.size()));
  if (!dst.empty()) std::memcpy(dst.data(), bytes_.data() + offset, dst.size());
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<ByteSource>> SliceSource(
    std::shared_ptr<const ByteSource> base, uint64_t offset, uint64_t size,
    std::string name) {
  MQ_RETURN_IF_ERROR(CheckRange(*base, offset, size));
  return std::make_unique<SlicedSource>(std::move(base), offset, size,
                                        std::move(name));
}

absl::StatusOr<std::string> ReadAll(const ByteSource& source, uint64_t limit) {
  if (source.size() > limit) {
    return InvalidArgumentError(source.name(), ": has ", source.size(),
                                " bytes, more than the limit of ", limit);
  }
  std::string bytes(source.size(), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      0,
      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()), bytes.size())));
  return bytes;
}

CheckpointFiles InMemoryFiles(
    std::string path, std::vector<std::pair<std::string, std::string>> files) {
  // npos + 1 == 0: a path without a separator is all base name.
  const size_t base = path.rfind('/') + 1;
  const std::string path_base = path.substr(base);
  const bool is_file =
      std::any_of(files.begin(), files.end(),
                  [&](const auto& file) { return file.first == path_base; });
  const std::string directory =
      is_file ? path.substr(0, base) : absl::StrCat(path, "/");

  std::map<std::string, std::shared_ptr<ByteSource>, std::less<>> sources;
  for (auto& [name, bytes] : files) {
    sources[name] = std::make_shared<MemorySource>(
        absl::StrCat(directory, name), std::move(bytes));
  }

  CheckpointFiles result;
  result.is_directory = !is_file;
  if (is_file) result.main = path_base;
  for (const auto& [name, source] : sources) result.names.push_back(name);
  result.open = [sources = std::move(sources), path](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    const auto it = sources.find(name);
    if (it == sources.end()) {
      return NotFoundError(path, ": there is no file ", QuotedName(name),
                           " beside it");
    }
    return it->second;
  };
  result.path = std::move(path);
  return result;
}

}  // namespace monoquant
