// torch.save checkpoints of torch 0.1.0 to 0.1.9: tar archives.

#ifndef MONOQUANT_FRONTENDS_TAR_TAR_READER_H_
#define MONOQUANT_FRONTENDS_TAR_TAR_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kTarKinds[] = {
    {"torch-tar",
     "a tar archive of `sys_info`, `pickle`, `tensors` and `storages`",
     "`torch.save` of torch 0.1.0 to 0.1.9"},
};

// True for a tar archive with these members; others are no checkpoints.
absl::StatusOr<bool> IsTorchTar(const CheckpointFiles& files);

// Reads the headers of the archive, the pickle and what describes the tensors
// and storages, which must fill their members to the last byte.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchTar(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TAR_TAR_READER_H_
