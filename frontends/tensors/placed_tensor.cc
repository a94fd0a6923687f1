#include "frontends/tensors/placed_tensor.h"

#include <algorithm>
#include <limits>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "frontends/name_list.h"
#include "frontends/tensors/affine_codes.h"
#include "frontends/tensors/element_ops.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/sort.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Types of which torch stores several elements in a byte, along the last
// dimension.
struct PackedRow {
  DType dtype;
  int64_t per_byte;
  // torch's shape counts bytes, ours elements; or the other way round.
  bool torch_counts_bytes;
};

constexpr PackedRow kPacked[] = {
    {DType::kF4, 2, true},
    {DType::kQU4x2, 2, false},
    {DType::kQU2x4, 4, false},
};

const PackedRow* FindPacked(DType dtype) {
  for (const PackedRow& row : kPacked) {
    if (row.dtype == dtype) return &row;
  }
  return nullptr;
}

}  // namespace

std::vector<int64_t> ContiguousStride(const Shape& size) {
  std::vector<int64_t> stride(size.size(), 1);
  for (size_t i = size.size(); i-- > 1;) {
    if (__builtin_mul_overflow(stride[i], std::max<int64_t>(size[i], 1),
                               &stride[i - 1])) {
      stride[i - 1] = std::numeric_limits<int64_t>::max();
    }
  }
  return stride;
}

namespace {

// Brings size and stride of a packed tensor to bytes, and `info->shape` to what
// ir/dtype.h says of the type.
absl::Status Unpack(const PackedRow& packed, StridedTensor* tensor,
                    TensorInfo* info, PlacedTensor* placed) {
  Shape& size = tensor->size;
  if (packed.torch_counts_bytes) {
    placed->elements_per_item = static_cast<uint64_t>(packed.per_byte);
    info->shape = size;
    if (info->shape.empty()) info->shape.push_back(1);
    if (__builtin_mul_overflow(info->shape.back(), packed.per_byte,
                               &info->shape.back())) {
      return DataLossError("its shape overflows");
    }
    return absl::OkStatus();
  }
  // The codes of a row fill whole bytes.
  if (tensor->stride != ContiguousStride(size) || tensor->offset != 0) {
    return UnimplementedError(
        "a view of packed codes is not read; save a contiguous copy of it");
  }
  if (!size.empty() && size.back() > 0) {
    size.back() = (size.back() - 1) / packed.per_byte + 1;
  }
  tensor->stride = ContiguousStride(size);
  info->shape = size;
  return absl::OkStatus();
}

// One past the last byte of a view that has elements.
uint64_t EndOf(const StridedView& view) {
  uint64_t end = view.offset + view.item_size;
  for (const StridedView::Dim& dim : view.dims) {
    end += (dim.size - 1) * dim.stride;
  }
  return end;
}

// Equal for tensors with equal elements in one storage.
std::string Identity(const PlacedTensor& placed, const TensorInfo& info) {
  std::string key = absl::StrCat(
      reinterpret_cast<uintptr_t>(placed.storage.get()), ":",
      placed.view.offset, ":", static_cast<int>(info.dtype), ":", placed.conj,
      placed.neg, ":", absl::StrJoin(info.shape, ","));
  for (const StridedView::Dim& dim : placed.view.dims) {
    absl::StrAppend(&key, ":", dim.size, "x", dim.stride);
  }
  if (placed.codes != nullptr) {
    absl::StrAppend(&key, ":", placed.codes->Identity());
  }
  return key;
}

// PlaceTensor, whose errors name neither file nor tensor.
absl::StatusOr<PlacedTensor> Place(StridedTensor tensor,
                                   std::shared_ptr<const Storage> storage,
                                   bool big_endian, TensorInfo* info) {
  if (storage->size() < tensor.storage_bytes) {
    return DataLossError(
        "storage ", QuotedName(storage->label()), " has ", storage->size(),
        " bytes but ", tensor.storage_bytes,
        " are needed; the file is damaged, download or copy it again");
  }
  PlacedTensor placed;
  placed.storage = std::move(storage);
  info->dtype = tensor.dtype;
  const PackedRow* packed = FindPacked(tensor.dtype);
  if (packed != nullptr) {
    MQ_RETURN_IF_ERROR(Unpack(*packed, &tensor, info, &placed));
  } else {
    info->shape = tensor.size;
  }
  const int bits = packed != nullptr ? 8 : GetDTypeInfo(tensor.dtype).bits;
  MQ_ASSIGN_OR_RETURN(
      placed.view,
      MakeStridedView(static_cast<uint64_t>(bits / 8), tensor.offset,
                      tensor.size, tensor.stride, tensor.storage_bytes));
  info->byte_size = placed.view.elements * placed.view.item_size;

  const bool is_complex =
      GetDTypeInfo(tensor.dtype).kind == DTypeKind::kComplex;
  if ((tensor.conj && !is_complex) ||
      (tensor.neg && !CanNegate(tensor.dtype))) {
    return DataLossError("a conjugate or negative view of ",
                         DTypeName(tensor.dtype), " makes no sense");
  }
  placed.conj = tensor.conj;
  placed.neg = tensor.neg;
  placed.big_endian = big_endian && bits > 8;
  return placed;
}

}  // namespace

absl::StatusOr<PlacedTensor> PlaceTensor(StridedTensor tensor,
                                         std::shared_ptr<const Storage> storage,
                                         bool big_endian, TensorInfo* info) {
  auto placed = Place(std::move(tensor), storage, big_endian, info);
  if (placed.ok()) return placed;
  return Annotate(
      absl::StrCat(storage->file(), ": tensor ", QuotedName(info->name)),
      placed.status());
}

void FindTies(const std::vector<PlacedTensor>& placed,
              std::vector<TensorInfo>* infos) {
  absl::flat_hash_map<const Storage*, size_t> users;
  users.reserve(placed.size());
  for (const PlacedTensor& tensor : placed) ++users[tensor.storage.get()];
  absl::flat_hash_map<std::string, size_t> first;
  for (size_t i = 0; i < placed.size(); ++i) {
    TensorInfo& info = (*infos)[i];
    // Tensors without elements share nothing.
    if (info.byte_size == 0 || users[placed[i].storage.get()] == 1) continue;
    const auto [it, inserted] = first.try_emplace(Identity(placed[i], info), i);
    if (!inserted) info.tie = it->second;
  }
}

std::string DescribeOverlaps(const std::vector<PlacedTensor>& placed,
                             const std::vector<TensorInfo>& infos) {
  // Storages by their first tensor, so that the order follows from the file.
  absl::flat_hash_map<const Storage*, size_t> first_user;
  struct Use {
    size_t first_user;
    uint64_t offset;
    size_t tensor;
  };
  std::vector<Use> uses;
  for (size_t i = 0; i < placed.size(); ++i) {
    if (infos[i].tie != kNoTie || infos[i].byte_size == 0) continue;
    const size_t first =
        first_user.try_emplace(placed[i].storage.get(), i).first->second;
    uses.push_back({first, placed[i].view.offset, i});
  }
  Sort(uses, [](const Use& a, const Use& b) {
    return std::tie(a.first_user, a.offset, a.tensor) <
           std::tie(b.first_user, b.offset, b.tensor);
  });
  NameList overlapping;
  uint64_t end = 0;
  for (size_t i = 0; i < uses.size(); ++i) {
    const PlacedTensor& tensor = placed[uses[i].tensor];
    if (i == 0 || uses[i - 1].first_user != uses[i].first_user) end = 0;
    if (tensor.view.offset < end) {
      overlapping.Add(infos[uses[i].tensor].name);
    }
    end = std::max(end, EndOf(tensor.view));
  }
  if (overlapping.empty()) return "";
  return absl::StrCat(
      "views of storages that other tensors use too, copied one by one: ",
      overlapping.ToString());
}

}  // namespace monoquant
