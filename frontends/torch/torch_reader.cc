#include "frontends/torch/torch_reader.h"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/torch/packed_names.h"
#include "frontends/torch/pickled_archive.h"
#include "frontends/torch/torch_archive.h"
#include "frontends/torch_export/exported_program.h"
#include "frontends/torchscript/model_json.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kMaxRecordBytes = uint64_t{64} << 20;

absl::string_view ContainerName(TorchZipKind kind) {
  switch (kind) {
    case TorchZipKind::kTorch:
      return "torch";
    case TorchZipKind::kTorchScript:
    case TorchZipKind::kTorchScriptJson:
      return "torchscript";
    case TorchZipKind::kTorchScriptLite:
      return "torchscript-lite";
    case TorchZipKind::kExport:
    case TorchZipKind::kExportPickled:
      return "torch-export";
  }
  return "torch";
}

absl::Status ReadTensors(const TorchArchive& archive,
                         const OpenOptions& options, CheckpointIndex* index,
                         std::vector<PlacedTensor>* placed) {
  switch (archive.kind) {
    case TorchZipKind::kTorch:
      return ReadPickledArchive(archive, options, ModuleNames::kFloat, index,
                                placed);
    case TorchZipKind::kTorchScript:
    case TorchZipKind::kTorchScriptLite:
      return ReadPickledArchive(archive, options, ModuleNames::kStored, index,
                                placed);
    case TorchZipKind::kTorchScriptJson:
      return ReadModelJson(archive, options, index, placed);
    case TorchZipKind::kExport:
      return ReadExportedProgram(archive, options, index, placed);
    case TorchZipKind::kExportPickled:
      return ReadPickledExport(archive, options, index, placed);
  }
  return InternalError("a zip archive of no kind");
}

absl::Status ReadRecord(const TorchArchive& archive, CheckpointIndex* index) {
  const auto member = archive.Find(kQuantRecordFile);
  if (!member.has_value()) return absl::OkStatus();
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      archive.zip->ReadMember(*member, kMaxRecordBytes));
  absl::StatusOr<QuantRecord> record = QuantRecordFromJson(text);
  if (!record.ok()) {
    return DataLossError(archive.zip->name(), ": member ",
                         QuotedName(archive.zip->entry(*member).name), ": ",
                         record.status().message());
  }
  index->quant = *std::move(record);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<bool> IsTorchZip(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  uint8_t magic[4] = {};
  if (source->size() < sizeof(magic)) return false;
  MQ_RETURN_IF_ERROR(source->ReadAt(0, absl::MakeSpan(magic)));
  // A member's header, or the end record of an archive without members.
  return magic[0] == 'P' && magic[1] == 'K' &&
         ((magic[2] == 3 && magic[3] == 4) || (magic[2] == 5 && magic[3] == 6));
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenTorchZip(
    const CheckpointFiles& files, const OpenOptions& options) {
  ArchiveBytes bytes;
  MQ_ASSIGN_OR_RETURN(bytes.source, files.open(files.main));
  bytes.file_name = files.main;
  MQ_ASSIGN_OR_RETURN(const TorchArchive archive,
                      OpenTorchArchive(std::move(bytes)));
  CheckpointIndex index;
  index.container = std::string(ContainerName(archive.kind));
  index.path = files.path;
  index.notes = archive.notes;
  std::vector<PlacedTensor> placed;
  MQ_RETURN_IF_ERROR(ReadRecord(archive, &index));
  OpenOptions read_options = options;
  // A record speaks of what is stored.
  if (!index.quant.empty()) read_options.as_stored = true;
  MQ_RETURN_IF_ERROR(ReadTensors(archive, read_options, &index, &placed));
  if (HasPackedModules(index.quant)) {
    NamePackedTensors(index.quant, &index, &placed);
  }
  if (!archive.zip->has_checksums()) {
    index.notes.push_back(
        "it was written without CRC-32; damage to it cannot be found");
  }
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
