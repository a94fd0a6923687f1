#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "frontends/dcp/dcp_reader.h"
#include "frontends/dcp/dcp_safetensors_reader.h"
#include "frontends/engines/quantization_config.h"
#include "frontends/foreign.h"
#include "frontends/frontend.h"
#include "frontends/legacy/legacy_reader.h"
#include "frontends/mobile/mobile_reader.h"
#include "frontends/numpy/numpy_reader.h"
#include "frontends/safetensors/safetensors_reader.h"
#include "frontends/scaled/scaled_reader.h"
#include "frontends/sharded/sharded_reader.h"
#include "frontends/tar/tar_reader.h"
#include "frontends/torch/torch_reader.h"
#include "ir/errors.h"
#include "ir/mqir_reader.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMqirFile(
    const CheckpointFiles& files, const OpenOptions& options) {
  if (!options.root.empty()) {
    return InvalidArgumentError(
        files.path, ": a .mqir file has no nested dicts to choose ",
        QuotedName(options.root), " from; leave out --root");
  }
  return OpenMqir(files);
}

// Opens a checkpoint as its container lists it.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenContainer(
    const CheckpointFiles& files, const OpenOptions& options) {
  for (const Frontend& frontend : AllFrontends()) {
    MQ_ASSIGN_OR_RETURN(const bool recognised, frontend.recognises(files));
    if (recognised) return frontend.open(files, options);
  }
  return DescribeForeign(files);
}

// A weight and its scales may lie in different shards, so scales are applied to
// the whole checkpoint only.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenShardedCheckpoint(
    const CheckpointFiles& files, const OpenOptions& options) {
  return OpenSharded(files, options, OpenContainer);
}

constexpr ContainerKind kMqirKinds[] = {
    {"mqir", "the magic number", "monoquant's own file, see docs/ir_format.md"},
};

constexpr Frontend kFrontends[] = {
    {kMqirKinds, IsMqir, OpenMqirFile},
    // Before torch: its files begin like archives.
    {kDcpKinds, IsDcp, OpenDcp},
    {kTorchZipKinds, IsTorchZip, OpenTorchZip},
    {kDcpSafetensorsKinds, IsDcpSafetensors, OpenDcpSafetensors},
    {kTarKinds, IsTorchTar, OpenTorchTar},
    {kLegacyKinds, IsLegacyStream, OpenLegacyStream},
    {kMobileKinds, IsMobileModule, OpenMobileModule},
    {kSafetensorsKinds, IsSafetensorsFile, OpenSafetensorsFile},
    {kShardedKinds, IsSharded, OpenShardedCheckpoint},
    // Last: a pickle of protocol 0 has no mark of its own.
    {kBarePickleKinds, IsBarePickle, OpenBarePickle},
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
  MQ_ASSIGN_OR_RETURN(std::unique_ptr<CheckpointReader> reader,
                      OpenContainer(files, options));
  if (options.as_stored) return reader;
  MQ_ASSIGN_OR_RETURN(reader, ApplyQuantizationConfig(std::move(reader), files,
                                                      options.problems));
  // Scales of weights that are damaged would be taken for others'.
  if (options.problems != nullptr && !options.problems->empty()) return reader;
  return ApplyScales(std::move(reader), files);
}

}  // namespace monoquant
