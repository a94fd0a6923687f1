// Tensors as views of storages, checked against them.

#ifndef MONOQUANT_FRONTENDS_TENSORS_PLACED_TENSOR_H_
#define MONOQUANT_FRONTENDS_TENSORS_PLACED_TENSOR_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/tensors/storage.h"
#include "frontends/tensors/strided.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/shape.h"

namespace monoquant {

// A tensor as a file describes it, in torch's terms. Nothing of it has been
// checked yet.
struct StridedTensor {
  // Bytes of the storage, by the file's account.
  uint64_t storage_bytes = 0;
  DType dtype = DType::kF32;
  // In elements of dtype, as torch counts them.
  uint64_t offset = 0;
  Shape size;
  std::vector<int64_t> stride;
  // Lazy views: the values are the conjugates, the negatives of those stored.
  bool conj = false;
  bool neg = false;
};

// The strides of a contiguous tensor of this size; saturated where a (then
// useless) product overflows.
std::vector<int64_t> ContiguousStride(const Shape& size);

struct AffineCodes;

// A view of a storage whose bounds have been checked.
struct PlacedTensor {
  std::shared_ptr<const Storage> storage;
  StridedView view;
  // Elements, as the shape counts them, in one item of the view.
  uint64_t elements_per_item = 1;
  bool big_endian = false;
  bool conj = false;
  bool neg = false;
  // If not null, the view has codes, and the tensor the F32 values that they
  // stand for (affine_codes.h).
  std::shared_ptr<const AffineCodes> codes;

  // True if the bytes in the storage are those of the tensor.
  bool IsVerbatim() const {
    return view.IsContiguous() && !big_endian && !conj && !neg &&
           codes == nullptr;
  }
};

// Checks everything that `tensor` says against `storage`, which has at least
// tensor.storage_bytes bytes or the file is damaged. Uses `info->name`; fills
// in dtype, shape and byte size. `big_endian`: how the storage's numbers are
// written. DataLoss or Unimplemented, naming file and tensor.
absl::StatusOr<PlacedTensor> PlaceTensor(StridedTensor tensor,
                                         std::shared_ptr<const Storage> storage,
                                         bool big_endian, TensorInfo* info);

// Sets TensorInfo::tie of every tensor that has the same elements, in the same
// storage, as an earlier one. `infos` and `placed` are parallel.
void FindTies(const std::vector<PlacedTensor>& placed,
              std::vector<TensorInfo>* infos);

// A note on tensors that share some of their elements with others, but are not
// tied; empty if there are none.
std::string DescribeOverlaps(const std::vector<PlacedTensor>& placed,
                             const std::vector<TensorInfo>& infos);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TENSORS_PLACED_TENSOR_H_
