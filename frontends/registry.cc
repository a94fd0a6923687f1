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

constexpr ContainerKind kMqirKinds[] = {
    {"mqir", "the magic number",
     "monoquant's own file, see docs/ir_format.md"},
};

constexpr Frontend kFrontends[] = {
    {kMqirKinds, IsMqir, OpenMqirFile},
    {kTorchZipKinds, IsTorchZip, OpenTorchZip},
    {kSafetensorsKinds, IsSafetensorsFile, OpenSafetensorsFile},
    {kSafetensorsShardedKinds, IsSafetensorsDirectory,
     OpenSafetensorsDirectory},
};

}  // namespace

absl::Span<const Frontend> AllFrontends() { return kFrontends; }

std::string ContainerTable() {
  std::string table =
      "| container | recognised by | what it is |\n|---|---|---|\n";
  for (const Frontend& frontend : AllFrontends()) {
    for (const ContainerKind& kind : frontend.kinds) {
      absl::StrAppend(&table, "| `", kind.name, "` | ", kind.recognised_by,
                      " | ", kind.description, " |\n");
    }
  }
  return table;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenCheckpoint(
    const CheckpointFiles& files, const OpenOptions& options) {
  for (const Frontend& frontend : AllFrontends()) {
    MQ_ASSIGN_OR_RETURN(const bool recognised, frontend.recognises(files));
    if (recognised) return frontend.open(files, options);
  }
  return DescribeForeign(files);
}

}  // namespace monoquant
