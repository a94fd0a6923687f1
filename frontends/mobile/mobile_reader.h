// Modules for the lite interpreter of phones, saved as a FlatBuffer.

#ifndef MONOQUANT_FRONTENDS_MOBILE_MOBILE_READER_H_
#define MONOQUANT_FRONTENDS_MOBILE_MOBILE_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

inline constexpr ContainerKind kMobileKinds[] = {
    {"torch-mobile", "`PTMF` in bytes 4 to 7",
     "`_save_for_lite_interpreter` with `_use_flatbuffer=True`: `.ptl`"},
};

// True for a FlatBuffer with the mark of mobile modules.
absl::StatusOr<bool> IsMobileModule(const CheckpointFiles& files);

// Reads the tables of the module; the storages stay where they are.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMobileModule(
    const CheckpointFiles& files, const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_MOBILE_MOBILE_READER_H_
