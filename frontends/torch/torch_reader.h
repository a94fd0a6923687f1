// torch.save checkpoints (.pt, .pth, .bin, ...) of torch 1.6 and later, and
// TorchScript archives of 1.3 and later: zip archives around a pickle.

#ifndef MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_
#define MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kTorchZipKinds[] = {
    {"torch", "`PK`",
     "`torch.save` of torch 1.6 and later: `.pt` `.pth` `.bin` `.ckpt`"},
    {"torchscript", "`PK`, and `constants.pkl` inside",
     "`torch.jit.save` of torch 1.3 and later"},
};

// True for any zip archive; opening tells which kind it is.
absl::StatusOr<bool> IsTorchZip(const CheckpointFiles& files);

// Reads the archive's directory, its byte order, data.pkl and, if monoquant
// wrote it, its record. A storage is checked against its CRC-32 when the first
// of its elements is read.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchZip(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_
