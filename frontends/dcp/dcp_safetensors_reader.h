// Distributed checkpoints in the form of safetensors files, as torch's
// HuggingFaceStorageWriter saves them: every process writes its parts of the
// tensors into files of its own,
// shard-{process}-model-{part}-of-{parts}.safetensors, whose metadata says
// where in the tensors they belong:
//
//   "DCP_SHARDING_INFO": "{\"name\": {\"saved_offsets\": [4, 0]}, ...}"

#ifndef MONOQUANT_FRONTENDS_DCP_DCP_SAFETENSORS_READER_H_
#define MONOQUANT_FRONTENDS_DCP_DCP_SAFETENSORS_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kDcpSafetensorsKinds[] = {
    {"dcp-safetensors",
     "a directory with `shard-*-model-*.safetensors` and `DCP_SHARDING_INFO` "
     "inside",
     "a distributed checkpoint whose chunks are in safetensors files"},
};

// True for a directory without an index that has such files, and for such a
// file. Looks at the beginning of the first.
absl::StatusOr<bool> IsDcpSafetensors(const CheckpointFiles& files);

// Reads the headers of all files. InvalidArgument if one of several was named
// in place of the directory. A tensor ends where the last of its chunks does,
// and its chunks must cover it, each element once.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenDcpSafetensors(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_DCP_SAFETENSORS_READER_H_
