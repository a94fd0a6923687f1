// torch.save checkpoints of torch 0.1.10 to 1.5, and of later ones that were
// asked for it: pickles, and behind them the storages, in one stream.

#ifndef MONOQUANT_FRONTENDS_LEGACY_LEGACY_READER_H_
#define MONOQUANT_FRONTENDS_LEGACY_LEGACY_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kLegacyKinds[] = {
    {"torch-legacy", "the pickled number 0x1950A86A20F9469CFC6C",
     "`torch.save` of torch 0.1.10 to 1.5, or with "
     "`_use_new_zipfile_serialization=False`"},
};

// True for a file that begins with the pickled magic number.
absl::StatusOr<bool> IsLegacyStream(const CheckpointFiles& files);

// Reads the pickles, and of every storage the 8 bytes in front of it. Unlike
// torch, refuses a file in which a storage is missing, listed twice, of another
// size than the pickle says, or cut off.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenLegacyStream(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_LEGACY_LEGACY_READER_H_
