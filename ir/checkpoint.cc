#include "ir/checkpoint.h"

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

absl::Status Wrong(const TensorInfo& tensor, absl::string_view reason) {
  return DataLossError("tensor ", QuotedName(tensor.name), ": ", reason);
}

absl::Status CheckSize(const TensorInfo& tensor) {
  const absl::StatusOr<uint64_t> size = ByteSize(tensor.dtype, tensor.shape);
  if (!size.ok()) return Wrong(tensor, size.status().message());
  if (*size != tensor.byte_size) {
    return Wrong(tensor,
                 absl::StrCat("has ", tensor.byte_size, " bytes, but ",
                              DTypeName(tensor.dtype), " ",
                              ShapeToString(tensor.shape), " needs ", *size));
  }
  return absl::OkStatus();
}

absl::Status CheckTie(const CheckpointIndex& index, size_t i) {
  const TensorInfo& tensor = index.tensors[i];
  if (tensor.tie == kNoTie) return absl::OkStatus();
  if (tensor.tie >= i) {
    return Wrong(tensor, "is tied to a tensor that does not come before it");
  }
  const TensorInfo& first = index.tensors[tensor.tie];
  if (first.tie != kNoTie) {
    return Wrong(tensor, absl::StrCat("is tied to ", QuotedName(first.name),
                                      ", which is tied itself"));
  }
  if (first.dtype != tensor.dtype || first.shape != tensor.shape) {
    return Wrong(
        tensor,
        absl::StrCat(DTypeName(tensor.dtype), " ", ShapeToString(tensor.shape),
                     " is tied to ", QuotedName(first.name), ", which is ",
                     DTypeName(first.dtype), " ", ShapeToString(first.shape)));
  }
  return absl::OkStatus();
}

absl::Status CheckTensors(const CheckpointIndex& index) {
  IndexBudget budget;
  absl::flat_hash_set<absl::string_view> names;
  names.reserve(index.tensors.size());
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& tensor = index.tensors[i];
    MQ_RETURN_IF_ERROR(budget.Add(tensor.name, tensor.shape.size()));
    if (!IsValidUtf8(tensor.name)) {
      return DataLossError("tensor ", JsonExcerpt(tensor.name),
                           ": the name is not UTF-8");
    }
    if (!names.insert(tensor.name).second) {
      return Wrong(tensor, "the name occurs twice");
    }
    MQ_RETURN_IF_ERROR(CheckSize(tensor));
    MQ_RETURN_IF_ERROR(CheckTie(index, i));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status IndexBudget::Add(absl::string_view name, size_t rank) {
  name_bytes_ += name.size();
  dims_ += rank;
  if (++tensors_ > limits_.tensors) {
    return DataLossError("more tensors than the limit of ", limits_.tensors);
  }
  if (name_bytes_ > limits_.name_bytes) {
    return DataLossError("the names of the tensors exceed the limit of ",
                         limits_.name_bytes, " bytes");
  }
  if (dims_ > limits_.dims) {
    return DataLossError("the shapes of the tensors exceed the limit of ",
                         limits_.dims, " dimensions together");
  }
  return absl::OkStatus();
}

absl::StatusOr<ByteRange> ElementBytes(const TensorInfo& tensor, uint64_t first,
                                       uint64_t count) {
  MQ_ASSIGN_OR_RETURN(const uint64_t elements, NumElements(tensor.shape));
  if (first > elements || count > elements - first) {
    return InvalidArgumentError("tensor ", QuotedName(tensor.name), ": ", count,
                                " elements from ", first,
                                " on do not exist, it has ", elements);
  }
  // No overflow below: the tensor's size in bits fits 64 bits.
  MQ_RETURN_IF_ERROR(ByteSize(tensor.dtype, tensor.shape).status());
  const uint64_t bits = static_cast<uint64_t>(GetDTypeInfo(tensor.dtype).bits);
  if (first * bits % 8 != 0 || count * bits % 8 != 0) {
    return InvalidArgumentError(
        "tensor ", QuotedName(tensor.name), ": ", count, " elements from ",
        first, " on are no whole bytes of ", DTypeName(tensor.dtype));
  }
  return ByteRange{first * bits / 8, count * bits / 8};
}

absl::Status ValidateIndex(const CheckpointIndex& index) {
  MQ_RETURN_IF_ERROR(Annotate(index.path, CheckTensors(index)));
  if (index.quant.empty()) return absl::OkStatus();
  std::vector<StoredTensor> stored;
  stored.reserve(index.tensors.size());
  for (const TensorInfo& tensor : index.tensors) {
    stored.push_back({tensor.name, tensor.dtype, tensor.shape});
  }
  return Annotate(index.path, ValidateQuantRecord(index.quant, stored));
}

}  // namespace monoquant
