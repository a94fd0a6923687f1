// Distributed checkpoints of torch (torch.distributed.checkpoint): a directory
// with a file .metadata, and files *.distcp that are rows of torch.save
// archives, each of one chunk of one tensor.

#ifndef MONOQUANT_FRONTENDS_DCP_DCP_READER_H_
#define MONOQUANT_FRONTENDS_DCP_DCP_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr absl::string_view kDcpMetadataFile = ".metadata";

inline constexpr ContainerKind kDcpKinds[] = {
    {"dcp", "a directory with `.metadata` and `*.distcp`",
     "a distributed checkpoint of `torch.distributed.checkpoint`"},
};

// True for a directory with a file .metadata that begins like one of torch's,
// or beside which there is any *.distcp; and for each of these files.
absl::StatusOr<bool> IsDcp(const CheckpointFiles& files);

// Reads .metadata and the sizes of the files. An archive is opened, and checked
// against what .metadata says of it, when the first of its elements is read.
//
// InvalidArgument if one of the *.distcp was named in place of the directory.
// The chunks of a tensor must cover it, each element once. Python objects are
// left out and noted.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenDcp(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_DCP_DCP_READER_H_
