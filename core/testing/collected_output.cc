#include "core/testing/collected_output.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ir/crc32.h"

namespace monoquant::testing {

CollectedOutput::CollectedOutput(Manifest manifest)
    : manifest_(std::move(manifest)) {
  for (const OutputTensor& tensor : manifest_.tensors) {
    const uint64_t size = tensor.tie == kNoTie ? tensor.byte_size : 0;
    bytes_.emplace_back(static_cast<size_t>(size));
    seen_.emplace_back(static_cast<size_t>(size), uint8_t{0});
  }
}

Emit CollectedOutput::emit() {
  return [this](size_t output, uint64_t offset, absl::Span<const uint8_t> bytes,
                uint32_t crc) {
    if (crc != Crc32(bytes)) return absl::InternalError("a wrong checksum");
    return Take(output, offset, bytes);
  };
}

absl::Status CollectedOutput::Take(size_t output, uint64_t offset,
                                   absl::Span<const uint8_t> bytes) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (output >= bytes_.size() || offset > bytes_[output].size() ||
      bytes.size() > bytes_[output].size() - offset) {
    return absl::InternalError(absl::StrCat(
        "bytes ", offset, " + ", bytes.size(), " of output ", output));
  }
  const auto begin = seen_[output].begin() + static_cast<int64_t>(offset);
  const auto end = begin + static_cast<int64_t>(bytes.size());
  const auto again = std::find(begin, end, 1);
  if (again != end) {
    return absl::InternalError(
        absl::StrCat("byte ", again - seen_[output].begin(), " of ",
                     manifest_.tensors[output].name, " a second time"));
  }
  std::fill(begin, end, 1);
  std::copy(bytes.begin(), bytes.end(),
            bytes_[output].begin() + static_cast<int64_t>(offset));
  return absl::OkStatus();
}

absl::Status CollectedOutput::Complete() const {
  for (size_t i = 0; i < seen_.size(); ++i) {
    const auto missing = std::find(seen_[i].begin(), seen_[i].end(), 0);
    if (missing != seen_[i].end()) {
      return absl::InternalError(
          absl::StrCat("byte ", missing - seen_[i].begin(), " of ",
                       manifest_.tensors[i].name, " is missing"));
    }
  }
  return absl::OkStatus();
}

std::unique_ptr<MemoryReader> CollectedOutput::Open() const {
  auto reader = std::make_unique<MemoryReader>();
  for (size_t i = 0; i < bytes_.size(); ++i) {
    const OutputTensor& tensor = manifest_.tensors[i];
    if (tensor.tie != kNoTie) {
      reader->AddTie(tensor.name, tensor.tie);
    } else {
      reader->AddBytes(tensor.name, tensor.dtype, tensor.shape, bytes_[i]);
    }
  }
  reader->mutable_index().quant = manifest_.record;
  reader->mutable_index().metadata = manifest_.metadata;
  return reader;
}

}  // namespace monoquant::testing
