#include "core/testing/memory_reader.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "ir/status_macros.h"

namespace monoquant::testing {

size_t MemoryReader::Add(absl::string_view name, Shape shape,
                         absl::Span<const float> values, DType dtype) {
  std::vector<uint8_t> bytes(values.size() * FloatBytes(dtype));
  FromFloat(dtype, values, bytes.data());
  return AddBytes(name, dtype, std::move(shape), std::move(bytes));
}

size_t MemoryReader::AddBytes(absl::string_view name, DType dtype, Shape shape,
                              std::vector<uint8_t> bytes) {
  TensorInfo info;
  info.name = std::string(name);
  info.dtype = dtype;
  info.shape = std::move(shape);
  info.byte_size = bytes.size();
  index_.tensors.push_back(std::move(info));
  bytes_.push_back(std::move(bytes));
  return index_.tensors.size() - 1;
}

size_t MemoryReader::AddTie(absl::string_view name, size_t tie) {
  TensorInfo info = index_.tensors[tie];
  info.name = std::string(name);
  info.tie = tie;
  index_.tensors.push_back(std::move(info));
  bytes_.push_back(bytes_[tie]);
  return index_.tensors.size() - 1;
}

absl::Status MemoryReader::Read(size_t tensor, uint64_t first, uint64_t count,
                                absl::Span<uint8_t> dst) const {
  if (tensor >= bytes_.size()) {
    return absl::InvalidArgumentError(absl::StrCat("no tensor ", tensor));
  }
  if (tensor == broken_) {
    return absl::DataLossError(absl::StrCat(
        index_.path, ": tensor '", index_.tensors[tensor].name, "' is broken"));
  }
  MQ_ASSIGN_OR_RETURN(const ByteRange range,
                      ElementBytes(index_.tensors[tensor], first, count));
  if (dst.size() != range.size) {
    return absl::InvalidArgumentError(
        absl::StrCat("destination of ", dst.size(), " bytes for ", range.size));
  }
  const auto begin =
      bytes_[tensor].begin() + static_cast<int64_t>(range.offset);
  std::copy(begin, begin + static_cast<int64_t>(range.size), dst.begin());
  reads_->bytes += range.size;
  uint64_t largest = reads_->largest;
  while (range.size > largest &&
         !reads_->largest.compare_exchange_weak(largest, range.size)) {
  }
  return absl::OkStatus();
}

std::optional<FileExtent> MemoryReader::Locate(size_t tensor) const {
  return FileExtent{"model.test", tensor * 4096, bytes_[tensor].size()};
}

}  // namespace monoquant::testing
