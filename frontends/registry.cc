#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "frontends/foreign.h"
#include "frontends/frontend.h"
#include "frontends/safetensors/safetensors_reader.h"
#include "frontends/torch/torch_reader.h"
#include "ir/mqir_reader.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMqirFile(
    const CheckpointFiles& files, const OpenOptions& options) {
  if (!options.root.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        files.path, ": a .mqir file has no nested dicts to choose ",
        QuotedName(options.root), " from; leave out --root"));
  }
  return OpenMqir(files);
}

constexpr Frontend kFrontends[] = {
    {"mqir", IsMqir, OpenMqirFile},
    {"torch", IsTorchZip, OpenTorchZip},
    {"safetensors", IsSafetensorsFile, OpenSafetensorsFile},
    {"safetensors-sharded", IsSafetensorsDirectory, OpenSafetensorsDirectory},
};

}  // namespace

absl::Span<const Frontend> AllFrontends() { return kFrontends; }

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(
    const CheckpointFiles& files, const OpenOptions& options) {
  for (const Frontend& frontend : AllFrontends()) {
    MQ_ASSIGN_OR_RETURN(const bool recognised, frontend.recognises(files));
    if (recognised) return frontend.open(files, options);
  }
  return DescribeForeign(files);
}

}  // namespace monoquant
