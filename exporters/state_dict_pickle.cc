#include "exporters/state_dict_pickle.h"

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "exporters/pickle_writer.h"
#include "exporters/plain_codes.h"
#include "ir/dtype.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// The dtypes whose storages torch names by a class; readers of any age know
// them. Newer dtypes come as untyped bytes with the dtype beside them.
struct StorageClass {
  DType dtype;
  absl::string_view name;
};
constexpr StorageClass kStorageClasses[] = {
    {DType::kBool, "BoolStorage"},
    {DType::kU8, "ByteStorage"},
    {DType::kI8, "CharStorage"},
    {DType::kI16, "ShortStorage"},
    {DType::kI32, "IntStorage"},
    {DType::kI64, "LongStorage"},
    {DType::kF16, "HalfStorage"},
    {DType::kBF16, "BFloat16Storage"},
    {DType::kF32, "FloatStorage"},
    {DType::kF64, "DoubleStorage"},
    {DType::kC64, "ComplexFloatStorage"},
    {DType::kC128, "ComplexDoubleStorage"},
};

absl::string_view StorageClassOf(DType dtype) {
  for (const StorageClass& row : kStorageClasses) {
    if (row.dtype == dtype) return row.name;
  }
  return "";
}

absl::Status CheckDType(const OutputTensor& tensor) {
  const DTypeInfo& info = GetDTypeInfo(tensor.dtype);
  if (info.torch_name.empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tensor '", tensor.name, "': torch has no dtype ", info.name,
        "; write a safetensors or mqir file, which can hold it"));
  }
  return absl::OkStatus();
}

// The shape as torch counts it: a dtype of less than a byte has several values
// in one element, along the last dimension.
absl::StatusOr<Shape> TorchShape(const OutputTensor& tensor) {
  Shape shape = tensor.shape;
  const int bits = GetDTypeInfo(tensor.dtype).bits;
  if (bits >= 8) return shape;
  const int64_t per_byte = 8 / bits;
  if (shape.empty() || shape.back() % per_byte != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "tensor '", tensor.name, "': torch packs ", per_byte, " values of ",
        DTypeName(tensor.dtype), " into an element along the last dimension, ",
        "which does not divide shape ", ShapeToString(shape),
        "; write a safetensors or mqir file, which can hold it"));
  }
  shape.back() /= per_byte;
  return shape;
}

void PickleInts(PickleWriter& pickle, const Shape& values) {
  if (values.empty()) {
    pickle.EmptyTuple();
    return;
  }
  pickle.Mark();
  for (int64_t value : values) pickle.Int(static_cast<uint64_t>(value));
  pickle.Tuple();
}

// Of a contiguous tensor, counted as torch counts them: an empty dimension
// strides like one of size 1.
Shape Strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t stride = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = stride;
    stride *= shape[i] > 1 ? shape[i] : 1;
  }
  return strides;
}

void PickleOrderedDict(PickleWriter& pickle) {
  pickle.Global("collections", "OrderedDict");
  pickle.EmptyTuple();
  pickle.Reduce();
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad,
// hooks), or _v3 with the dtype as well.
void PickleTensor(PickleWriter& pickle, const OutputTensor& tensor,
                  const Shape& shape, absl::string_view storage_key) {
  const DType dtype = PlainCodes(tensor.dtype);
  const DTypeInfo& info = GetDTypeInfo(dtype);
  const absl::string_view storage_class = StorageClassOf(dtype);
  const bool typed = !storage_class.empty();
  const uint64_t element_size = static_cast<uint64_t>((info.bits + 7) / 8);

  pickle.Global("torch._utils",
                typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
  pickle.Mark();
  pickle.Mark();
  pickle.SharedString("storage");
  if (typed) {
    pickle.Global("torch", storage_class);
  } else {
    pickle.Global("torch.storage", "UntypedStorage");
  }
  pickle.String(storage_key);
  pickle.SharedString("cpu");
  pickle.Int(typed ? tensor.byte_size / element_size : tensor.byte_size);
  pickle.Tuple();
  pickle.PersistentId();
  pickle.Int(0);
  PickleInts(pickle, shape);
  PickleInts(pickle, Strides(shape));
  pickle.False();
  PickleOrderedDict(pickle);
  if (!typed) pickle.Global("torch", info.torch_name);
  pickle.Tuple();
  pickle.Reduce();
}

}  // namespace

absl::StatusOr<std::string> PickleStateDict(const Manifest& manifest,
                                            absl::Span<const size_t> storage) {
  PickleWriter pickle;
  PickleOrderedDict(pickle);
  pickle.Mark();
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    const OutputTensor& tensor = manifest.tensors[i];
    MQ_RETURN_IF_ERROR(CheckDType(tensor));
    MQ_ASSIGN_OR_RETURN(const Shape shape, TorchShape(tensor));
    pickle.String(tensor.name);
    PickleTensor(pickle, tensor, shape, absl::StrCat(storage[i]));
  }
  pickle.SetItems();
  return std::move(pickle).Finish();
}

}  // namespace monoquant
