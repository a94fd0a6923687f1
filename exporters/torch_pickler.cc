#include "exporters/torch_pickler.h"

#include <cstdint>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "exporters/plain_codes.h"
#include "ir/errors.h"
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
    return FailedPreconditionError(
        "tensor '", tensor.name, "': torch has no dtype ", info.name,
        "; write a safetensors or mqir file, which can hold it");
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
    return FailedPreconditionError(absl::StrCat(
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

}  // namespace

void TorchPickler::OrderedDict() {
  writer_.Global("collections", "OrderedDict");
  writer_.EmptyTuple();
  writer_.Reduce();
}

size_t TorchPickler::StorageOf(size_t tensor) {
  const size_t tie = manifest_.tensors[tensor].tie;
  const size_t owner = tie == kNoTie ? tensor : tie;
  const auto [it, is_new] = of_tensor_.try_emplace(owner, storages_.size());
  if (is_new) storages_.push_back({owner, ""});
  return it->second;
}

// What stands for a storage: ("storage", class, key, "cpu", elements).
void TorchPickler::PickleStorage(absl::string_view module,
                                 absl::string_view name, size_t storage,
                                 uint64_t elements) {
  writer_.Mark();
  writer_.SharedString("storage");
  writer_.Global(module, name);
  writer_.String(absl::StrCat(storage));
  writer_.SharedString("cpu");
  writer_.Int(elements);
  writer_.Tuple();
  writer_.PersistentId();
}

// requires_grad and hooks, of which there are none.
void TorchPickler::PickleEnd() {
  writer_.False();
  OrderedDict();
}

// torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad,
// hooks), or _v3 with the dtype as well.
absl::Status TorchPickler::Tensor(size_t number) {
  const OutputTensor& tensor = manifest_.tensors[number];
  MQ_RETURN_IF_ERROR(CheckDType(tensor));
  MQ_ASSIGN_OR_RETURN(const Shape shape, TorchShape(tensor));
  const DType dtype = PlainCodes(tensor.dtype);
  const DTypeInfo& info = GetDTypeInfo(dtype);
  const absl::string_view storage_class = StorageClassOf(dtype);
  const bool typed = !storage_class.empty();
  const uint64_t element_size = static_cast<uint64_t>((info.bits + 7) / 8);
  const size_t storage = StorageOf(number);

  writer_.Global("torch._utils",
                 typed ? "_rebuild_tensor_v2" : "_rebuild_tensor_v3");
  writer_.Mark();
  if (typed) {
    PickleStorage("torch", storage_class, storage,
                  tensor.byte_size / element_size);
  } else {
    PickleStorage("torch.storage", "UntypedStorage", storage, tensor.byte_size);
  }
  writer_.Int(0);
  PickleInts(writer_, shape);
  PickleInts(writer_, Strides(shape));
  PickleEnd();
  if (!typed) writer_.Global("torch", info.torch_name);
  writer_.Tuple();
  writer_.Reduce();
  return absl::OkStatus();
}

// torch._utils._rebuild_qtensor(storage, offset, size, stride,
// (torch.per_channel_affine, scales, zero points, axis), requires_grad, hooks)
absl::Status TorchPickler::QuantizedTensor(size_t codes, size_t scale,
                                           size_t zero_point) {
  const OutputTensor& tensor = manifest_.tensors[codes];
  const size_t storage = StorageOf(codes);
  writer_.Global("torch._utils", "_rebuild_qtensor");
  writer_.Mark();
  PickleStorage("torch",
                tensor.dtype == DType::kI8 ? "QInt8Storage" : "QUInt8Storage",
                storage, tensor.byte_size);
  writer_.Int(0);
  PickleInts(writer_, tensor.shape);
  PickleInts(writer_, Strides(tensor.shape));
  writer_.Mark();
  // Also where zero points are floats, by which torch tells the scheme.
  writer_.Global("torch", "per_channel_affine");
  MQ_RETURN_IF_ERROR(Tensor(scale));
  MQ_RETURN_IF_ERROR(Tensor(zero_point));
  writer_.Int(0);
  writer_.Tuple();
  PickleEnd();
  writer_.Tuple();
  writer_.Reduce();
  return absl::OkStatus();
}

void TorchPickler::Scalar(DType dtype, absl::string_view bytes) {
  const auto [it, is_new] =
      of_bytes_.try_emplace(std::string(bytes), storages_.size());
  if (is_new) storages_.push_back({kNoTie, std::string(bytes)});
  writer_.Global("torch._utils", "_rebuild_tensor_v2");
  writer_.Mark();
  PickleStorage("torch", StorageClassOf(dtype), it->second, 1);
  writer_.Int(0);
  writer_.EmptyTuple();
  writer_.EmptyTuple();
  PickleEnd();
  writer_.Tuple();
  writer_.Reduce();
}

TorchPickle TorchPickler::Finish() && {
  return {std::move(writer_).Finish(), std::move(storages_)};
}

}  // namespace monoquant
