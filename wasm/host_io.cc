#include "wasm/host_io.h"

#include <algorithm>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/errors.h"
#include "ir/sort.h"
#include "ir/status_macros.h"
#include "wasm/block_cache.h"
#include "wasm/json_members.h"
#include "wasm/monoquant_c.h"

namespace monoquant {
namespace {

// Above this a double does not hold every integer.
constexpr uint64_t kMaxOffset = uint64_t{1} << 53;

// In case the length of a span does not fit the host's 32 bits natively.
constexpr size_t kMaxTransfer = size_t{1} << 30;

absl::Status ReadHost(uint32_t source, uint64_t offset,
                      absl::Span<uint8_t> dst) {
  while (!dst.empty()) {
    const absl::Span<uint8_t> part = dst.subspan(0, kMaxTransfer);
    switch (mq_host_read(source, static_cast<double>(offset), part.data(),
                         static_cast<uint32_t>(part.size()))) {
      case MQ_HOST_OK:
        break;
      case MQ_HOST_TRUNCATED:
        return DataLossError(
            "the file ended before byte ", offset + part.size(),
            ", it was changed while it was read; open it again");
      default:
        return UnavailableError(
            "reading ", part.size(), " bytes at ", offset,
            " failed; check that the file is still there and open it again");
    }
    dst.remove_prefix(part.size());
    offset += part.size();
  }
  return absl::OkStatus();
}

class HostSource : public ByteSource {
 public:
  HostSource(std::string name, uint64_t size, uint32_t source,
             std::shared_ptr<BlockCache> cache)
      : name_(std::move(name)),
        size_(size),
        source_(source),
        cache_(std::move(cache)) {}

  const std::string& name() const override { return name_; }
  uint64_t size() const override { return size_; }

  absl::Status ReadAt(uint64_t offset, absl::Span<uint8_t> dst) const override {
    if (offset > size_ || dst.size() > size_ - offset) {
      return OutOfRangeError(name_, ": ", dst.size(), " bytes at ", offset,
                             " were asked of a file of ", size_);
    }
    return Annotate(name_, cache_->Read(source_, size_, offset, dst));
  }

 private:
  const std::string name_;
  const uint64_t size_;
  const uint32_t source_;
  const std::shared_ptr<BlockCache> cache_;
};

struct HostFile {
  std::string name;
  uint64_t size = 0;
  uint32_t source = 0;
};

absl::StatusOr<HostFile> ParseFile(const Json& json) {
  JsonMembers members(json, "a member of \"files\"");
  HostFile file;
  file.name = members.String("name", "");
  file.size = members.Uint("size", kMaxOffset);
  file.source = static_cast<uint32_t>(members.Uint("source", UINT32_MAX));
  MQ_RETURN_IF_ERROR(members.Finish());
  return file;
}

}  // namespace

absl::StatusOr<CheckpointFiles> HostFiles(const Json& request) {
  CheckpointFiles files;
  JsonMembers members(request, "the request");
  files.path = members.String("path", "");
  files.main = members.String("main", "");
  files.is_directory = files.main.empty();
  // For the caller.
  members.String("root", "");
  members.Bool("allow_opaque", false);
  members.Bool("as_stored", false);
  const Json* list = members.Find("files");
  MQ_RETURN_IF_ERROR(members.Finish());
  if (list == nullptr || list->AsArray() == nullptr) {
    return InvalidArgumentError("the request has no list \"files\"");
  }

  auto by_name = std::make_shared<std::vector<HostFile>>();
  for (const Json& json : *list->AsArray()) {
    MQ_ASSIGN_OR_RETURN(HostFile file, ParseFile(json));
    by_name->push_back(std::move(file));
  }
  Sort(*by_name,
       [](const HostFile& a, const HostFile& b) { return a.name < b.name; });
  for (const HostFile& file : *by_name) {
    if (file.name.empty() ||
        (!files.names.empty() && files.names.back() == file.name)) {
      return InvalidArgumentError("the name '", file.name,
                                  "' of a file is empty or given twice");
    }
    files.names.push_back(file.name);
  }
  if (!files.is_directory &&
      !std::binary_search(files.names.begin(), files.names.end(), files.main)) {
    return InvalidArgumentError("the main file '", files.main,
                                "' is not among the files");
  }

  auto cache = std::make_shared<BlockCache>(ReadHost);
  files.open = [by_name, cache](absl::string_view name)
      -> absl::StatusOr<std::shared_ptr<ByteSource>> {
    for (const HostFile& file : *by_name) {
      if (file.name != name) continue;
      return std::make_shared<HostSource>(file.name, file.size, file.source,
                                          cache);
    }
    return NotFoundError(name,
                         ": no such file; add it to the files that are "
                         "opened together");
  };
  return files;
}

namespace {

// What a result of the host's sink means; `doing` is what failed.
absl::Status SinkStatus(int32_t result, absl::string_view doing) {
  switch (result) {
    case MQ_HOST_OK:
      return absl::OkStatus();
    case MQ_HOST_NO_SPACE:
      return ResourceExhaustedError(
          doing,
          " failed for lack of space; make room or choose another "
          "place");
    default:
      return UnavailableError(doing, " failed");
  }
}

}  // namespace

absl::Status HostSink::WriteAt(uint64_t offset, absl::Span<const uint8_t> src) {
  while (!src.empty()) {
    const absl::Span<const uint8_t> part = src.subspan(0, kMaxTransfer);
    const int32_t result =
        mq_host_write(sink_, static_cast<double>(offset), part.data(),
                      static_cast<uint32_t>(part.size()));
    MQ_RETURN_IF_ERROR(SinkStatus(
        result,
        absl::StrCat(name_, ": writing ", part.size(), " bytes at ", offset)));
    src.remove_prefix(part.size());
    offset += part.size();
  }
  return absl::OkStatus();
}

absl::Status HostSink::PutInPlace() {
  return SinkStatus(mq_host_commit(sink_),
                    absl::StrCat(name_, ": putting the output in its place"));
}

}  // namespace monoquant
