#include "frontends/read_range.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/errors.h"
#include "ir/quoted.h"

namespace monoquant {

absl::StatusOr<uint64_t> CheckReadRange(const CheckpointIndex& index,
                                        size_t tensor, uint64_t first,
                                        uint64_t count, size_t dst_size) {
  if (tensor >= index.tensors.size()) {
    return InvalidArgumentError(index.path, ": there is no tensor number ",
                                tensor, " among ", index.tensors.size());
  }
  const TensorInfo& info = index.tensors[tensor];
  const absl::StatusOr<ByteRange> range = ElementBytes(info, first, count);
  if (!range.ok()) return Annotate(index.path, range.status());
  if (range->size != dst_size) {
    return InvalidArgumentError(absl::StrCat(
        index.path, ": tensor ", QuotedName(info.name), ": ", count,
        " elements have ", range->size, " bytes, not ", dst_size));
  }
  return range->offset;
}

absl::Status WithTensor(absl::string_view file, absl::string_view tensor,
                        const absl::Status& status) {
  if (status.ok()) return status;
  const std::string prefix = absl::StrCat(file, ": ");
  return absl::Status(
      status.code(), absl::StrCat(prefix, "tensor ", QuotedName(tensor), ": ",
                                  absl::StripPrefix(status.message(), prefix)));
}

}  // namespace monoquant
