#include "exporters/output_writer.h"

#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "ir/crc32.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// The written parts of one tensor. Parts that touch become one, so there are
// about as many as there are writers at work, whatever the number of writes.
class Coverage {
 public:
  // False if any byte of [begin, end) was written before; changes nothing then.
  bool Add(uint64_t begin, uint64_t end, uint32_t crc) {
    if (begin == end) return true;
    auto next = parts_.lower_bound(begin);
    if (next != parts_.end() && next->first < end) return false;
    if (next != parts_.begin()) {
      const auto before = std::prev(next);
      if (before->second.end > begin) return false;
      if (before->second.end == begin) {
        crc = CombineCrc32(before->second.crc, crc, end - begin);
        begin = before->first;
        parts_.erase(before);
      }
    }
    if (next != parts_.end() && next->first == end) {
      crc = CombineCrc32(crc, next->second.crc, next->second.end - end);
      end = next->second.end;
      next = parts_.erase(next);
    }
    parts_.emplace_hint(next, begin, Part{end, crc});
    return true;
  }

  // True if exactly [0, size) was written; then `*crc` is its checksum.
  bool Complete(uint64_t size, uint32_t* crc) const {
    if (size == 0) {
      *crc = 0;
      return parts_.empty();
    }
    if (parts_.size() != 1) return false;
    const auto& [begin, part] = *parts_.begin();
    *crc = part.crc;
    return begin == 0 && part.end == size;
  }

 private:
  struct Part {
    uint64_t end;
    uint32_t crc;
  };
  std::map<uint64_t, Part> parts_;  // by begin; disjoint, none touch
};

}  // namespace

struct OutputWriter::State {
  const Exporter& exporter;
  const Manifest& manifest;
  FileLayout layout;
  ByteSink& sink;

  std::mutex mutex;                // guards what follows
  std::vector<Coverage> coverage;  // of each tensor
  absl::Status failure;            // the first of any Write

  absl::Status Fail(const absl::Status& status) {
    const std::lock_guard<std::mutex> lock(mutex);
    if (failure.ok()) failure = status;
    return status;
  }

  absl::Status Claim(const FinishedRange& range);
};

// Notes that the bytes are about to be written, or says why they must not be.
absl::Status OutputWriter::State::Claim(const FinishedRange& range) {
  const auto [output, offset, size, crc] = range;
  if (output >= manifest.tensors.size()) {
    return OutOfRangeError(sink.name(), ": output tensor ", output, " of ",
                           manifest.tensors.size(), " was written");
  }
  const OutputTensor& tensor = manifest.tensors[output];
  if (tensor.tie != kNoTie) {
    return InternalError(sink.name(), ": tensor '", tensor.name,
                         "' was written although it shares the bytes of '",
                         manifest.tensors[tensor.tie].name, "'");
  }
  if (offset > tensor.byte_size || size > tensor.byte_size - offset) {
    return OutOfRangeError(absl::StrCat(
        sink.name(), ": tensor '", tensor.name, "' has ", tensor.byte_size,
        " bytes, but ", size, " were written at ", offset));
  }
  const std::lock_guard<std::mutex> lock(mutex);
  if (!coverage[output].Add(offset, offset + size, crc)) {
    return InternalError(sink.name(), ": tensor '", tensor.name,
                         "': some of the ", size, " bytes at ", offset,
                         " came twice");
  }
  return absl::OkStatus();
}

OutputWriter::OutputWriter(const Exporter& exporter, const Manifest& manifest,
                           FileLayout layout, ByteSink& sink)
    : state_(
          new State{exporter, manifest, std::move(layout), sink, {}, {}, {}}) {
  state_->coverage.resize(manifest.tensors.size());
}

OutputWriter::~OutputWriter() = default;

absl::Status OutputWriter::Write(size_t output, uint64_t offset,
                                 absl::Span<const uint8_t> bytes,
                                 uint32_t crc) {
  const FileLayout& layout = state_->layout;
  absl::Status status = state_->Claim({output, offset, bytes.size(), crc});
  if (status.ok() && (layout.elsewhere.empty() || !layout.elsewhere[output])) {
    status = state_->sink.WriteAt(layout.offsets[output] + offset, bytes);
  }
  return status.ok() ? status : state_->Fail(status);
}

absl::Status OutputWriter::Adopt(const FinishedRange& range) {
  const absl::Status status = state_->Claim(range);
  return status.ok() ? status : state_->Fail(status);
}

absl::Status OutputWriter::Finish() {
  State& state = *state_;
  MQ_RETURN_IF_ERROR(state.failure);
  const std::vector<OutputTensor>& tensors = state.manifest.tensors;
  std::vector<uint32_t> crc32(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) {
    if (tensors[i].tie != kNoTie) {
      crc32[i] = crc32[tensors[i].tie];
    } else if (!state.coverage[i].Complete(tensors[i].byte_size, &crc32[i])) {
      return InternalError(state.sink.name(), ": tensor '", tensors[i].name,
                           "' was not written completely");
    }
  }
  MQ_RETURN_IF_ERROR(state.exporter.WriteIndex(state.manifest, state.layout,
                                               crc32, state.sink));
  return state.sink.Commit();
}

}  // namespace monoquant
