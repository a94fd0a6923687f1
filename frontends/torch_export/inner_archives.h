// Archives of torch.save that are members of a .pt2 archive, one for each of
// some tensors.

#ifndef MONOQUANT_FRONTENDS_TORCH_EXPORT_INNER_ARCHIVES_H_
#define MONOQUANT_FRONTENDS_TORCH_EXPORT_INNER_ARCHIVES_H_

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/torch_archive.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr size_t kMaxInnerArchives = 10'000;

// What was found in one of them. The name of a bare tensor is "tensor"; its
// parts are "tensor.scale" and the like.
struct InnerTensors {
  std::vector<TensorInfo> infos;
  std::vector<PlacedTensor> placed;  // parallel
};

// Opens inner archives, each once.
class InnerArchives {
 public:
  // Notes go to `index`. It and `outer` must outlive this. All of an inner
  // archive is read, whatever the root in `options`.
  InnerArchives(const TorchArchive& outer, const OpenOptions& options,
                CheckpointIndex* index)
      : outer_(outer), options_(options), index_(index) {
    options_.root = ".";
  }

  // The tensors of a member. DataLoss if it is missing or damaged.
  absl::StatusOr<const InnerTensors*> Get(const std::string& member);

 private:
  const TorchArchive& outer_;
  OpenOptions options_;
  CheckpointIndex* const index_;
  absl::flat_hash_map<std::string, std::unique_ptr<InnerTensors>> opened_;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_EXPORT_INNER_ARCHIVES_H_
