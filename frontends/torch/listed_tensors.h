// Tensors that an archive lists in JSON instead of a pickle: TorchScript before
// 1.3 and exported programs.

#ifndef MONOQUANT_FRONTENDS_TORCH_LISTED_TENSORS_H_
#define MONOQUANT_FRONTENDS_TORCH_LISTED_TENSORS_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Appends tensors to an index, within its limits, whose storages are members of
// one archive. All of its arguments must outlive it.
class ListedTensors {
 public:
  ListedTensors(const TorchArchive& archive, CheckpointIndex* index,
                std::vector<PlacedTensor>* placed)
      : archive_(archive), index_(index), placed_(placed) {}

  // `tensor` is a view of the whole storage `member`, however large that is.
  // Errors name file and tensor.
  absl::Status Add(absl::string_view name, const std::string& member,
                   StridedTensor tensor);

  // A view of a storage that lies elsewhere.
  absl::Status Add(absl::string_view name,
                   std::shared_ptr<const Storage> storage, bool big_endian,
                   StridedTensor tensor);

  // A tensor that has been placed already.
  absl::Status Add(TensorInfo info, PlacedTensor placed);

 private:
  const TorchArchive& archive_;
  CheckpointIndex* const index_;
  std::vector<PlacedTensor>* const placed_;
  IndexBudget budget_;
  // By member. Tensors are tied if they share one of these.
  absl::flat_hash_map<std::string, std::shared_ptr<const Storage>> storages_;
};

// Keeps of the tensors from number `first` on those whose names begin with
// `root` and a dot, and drops both from the names. Nothing is dropped with the
// root "" or ".". InvalidArgument if none is left.
absl::Status KeepBelowRoot(absl::string_view file, absl::string_view root,
                           size_t first, CheckpointIndex* index,
                           std::vector<PlacedTensor>* placed);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_LISTED_TENSORS_H_
