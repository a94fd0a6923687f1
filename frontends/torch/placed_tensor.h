// Where the elements of a tensor lie in a torch archive.

#ifndef MONOQUANT_FRONTENDS_TORCH_PLACED_TENSOR_H_
#define MONOQUANT_FRONTENDS_TORCH_PLACED_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/strided.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"

namespace monoquant {

// A view of one stored member of the archive, checked against its size.
struct PlacedTensor {
  size_t member = 0;
  StridedView view;
  // Elements, as the shape counts them, in one item of the view.
  uint64_t elements_per_item = 1;
  bool big_endian = false;
  bool conj = false;
  bool neg = false;

  // True if the bytes in the file are those of the tensor.
  bool IsVerbatim() const {
    return view.IsContiguous() && !big_endian && !conj && !neg;
  }
};

// Finds the storage of `named` and checks everything that the pickle says of it
// against the archive. Fills in `info` all but the tie. DataLoss or
// Unimplemented, naming file and tensor.
absl::StatusOr<PlacedTensor> PlaceTensor(const TorchArchive& archive,
                                         const NamedTensor& named,
                                         TensorInfo* info);

// Sets TensorInfo::tie of every tensor that has the same elements, in the same
// storage, as an earlier one. `infos` and `placed` are parallel.
void FindTies(const std::vector<PlacedTensor>& placed,
              std::vector<TensorInfo>* infos);

// A note on tensors that share some of their elements with others, but are not
// tied; empty if there are none.
std::string DescribeOverlaps(const std::vector<PlacedTensor>& placed,
                             const std::vector<TensorInfo>& infos);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_PLACED_TENSOR_H_
