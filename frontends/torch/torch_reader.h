// The zip archives of torch: torch.save checkpoints (.pt, .pth, .bin, ...),
// TorchScript, exported programs.

#ifndef MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_
#define MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kTorchZipKinds[] = {
    {"torch", "`PK`, and `data.pkl` inside",
     "`torch.save` of torch 1.6 and later: `.pt` `.pth` `.bin` `.ckpt`"},
    {"torchscript", "`PK`, and `constants.pkl` or `model.json` inside",
     "`torch.jit.save` of torch 1.0 and later"},
    {"torchscript-lite", "`PK`, and `bytecode.pkl` inside",
     "TorchScript for mobile interpreters: `.ptl`"},
    {"torch-export",
     "`PK`, and `archive_format` or `serialized_exported_program.json` inside",
     "`torch.export.save` of torch 2.1 and later, and AOTInductor packages: "
     "`.pt2`"},
};

// True for any zip archive; opening tells which kind it is.
absl::StatusOr<bool> IsTorchZip(const CheckpointFiles& files);

// Reads the archive's directory, its byte order, the pickle or JSON that
// describes the tensors and, if monoquant wrote it, its record; of a state dict
// of modules that torch quantized, the parameters of weights
// (quantized_modules.h). A storage is checked against its CRC-32 when the first
// of its elements is read.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchZip(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_TORCH_READER_H_
