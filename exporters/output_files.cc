#include "exporters/output_files.h"

#include <map>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "exporters/output_config.h"
#include "exporters/output_naming.h"
#include "ir/errors.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// For each tensor to be written the position in ModelFiles::weight_files of the
// file that it comes from. What lies in no file as it is, counts to the one
// before.
std::vector<size_t> SourceFiles(const ModelFiles& input,
                                const CheckpointReader& reader,
                                const Plan& plan) {
  std::map<std::string, size_t> positions;
  for (const std::string& name : input.weight_files) {
    positions.emplace(name, positions.size());
  }
  absl::flat_hash_map<absl::string_view, size_t> source;
  const std::vector<TensorInfo>& stored = input.stored->index().tensors;
  size_t position = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    if (const auto extent = input.stored->Locate(i)) {
      position = positions[extent->file];
    }
    source[stored[i].name] = position;
  }
  // Codes may lie under another name than their weight's.
  for (const QuantizedTensor& tensor : input.reader->index().quant.tensors) {
    const auto codes = source.find(tensor.codes_name());
    if (codes == source.end()) continue;
    const size_t of_codes = codes->second;
    source[tensor.name] = of_codes;
  }
  // Which storage they are in now may be another one.
  for (const QuantizedTensor& tensor : reader.index().quant.tensors) {
    const auto weight = source.find(tensor.name);
    if (weight == source.end()) continue;
    const size_t of_weight = weight->second;
    source.try_emplace(tensor.codes_name(), of_weight);
    for (const absl::string_view part : tensor.part_names()) {
      source.try_emplace(part, of_weight);
    }
  }
  std::vector<size_t> result(plan.manifest.tensors.size());
  position = 0;
  for (const TensorPlan& tensor : plan.tensors) {
    const auto found = source.find(reader.index().tensors[tensor.input].name);
    if (found != source.end()) position = found->second;
    for (const size_t output : tensor.outputs()) {
      if (output != kNoTensor) result[output] = position;
    }
  }
  return result;
}

absl::StatusOr<std::vector<Shard>> MakeShards(const ModelFiles& input,
                                              const CheckpointReader& reader,
                                              const FileNaming& naming,
                                              const Plan& plan,
                                              uint64_t max_shard_bytes) {
  if (max_shard_bytes > 0) return ShardBySize(plan.manifest, max_shard_bytes);
  const bool has_shards =
      input.is_directory && naming.has_shards && !IsDistributed(*input.reader);
  std::vector<Shard> shards = ShardByGroup(
      plan.manifest, has_shards
                         ? SourceFiles(input, reader, plan)
                         : std::vector<size_t>(plan.manifest.tensors.size()));
  if (shards.empty()) return ShardBySize(plan.manifest, UINT64_MAX);
  return shards;
}

// Whether weights that are stored as codes in `input` are in `reader` floats,
// or other tensors with the same codes.
bool IsChanged(const ModelFiles& input, const CheckpointReader& reader) {
  return input.reader != input.stored ||
         (!input.reader->index().quant.tensors.empty() &&
          &reader != input.reader.get());
}

}  // namespace

uint64_t OutputPlan::weight_bytes() const {
  uint64_t bytes = 0;
  for (const WeightFile& file : files) bytes += file.layout.file_size;
  return bytes;
}

absl::Status AddWeightFile(const ModelFiles& input, const Exporter& exporter,
                           std::string name, const Manifest& manifest,
                           OutputPlan* output) {
  absl::StatusOr<FileLayout> layout = exporter.Layout(manifest);
  if (!layout.ok()) return Annotate(input.path, layout.status());
  output->files.push_back(
      {std::move(name), *std::move(layout), manifest.tensors.size()});
  return absl::OkStatus();
}

absl::StatusOr<OutputPlan> PlanDirectory(const ModelFiles& input,
                                         const CheckpointReader& reader,
                                         const ExporterRow& row,
                                         const Plan& plan,
                                         const Exporter& exporter,
                                         uint64_t max_shard_bytes) {
  absl::StatusOr<std::vector<Shard>> shards =
      MakeShards(input, reader, row.naming, plan, max_shard_bytes);
  if (!shards.ok()) return Annotate(input.path, shards.status());
  OutputPlan output;
  output.shards = *std::move(shards);
  const OutputNaming naming(input, row);
  const std::vector<std::string> names =
      naming.Names(output.shards, /*as_input=*/max_shard_bytes == 0);
  for (size_t i = 0; i < names.size(); ++i) {
    MQ_RETURN_IF_ERROR(AddWeightFile(input, exporter, names[i],
                                     output.shards[i].manifest, &output));
  }
  if (names.size() > 1) {
    output.index_name = naming.IndexName();
    output.index_text = ShardIndexToJson(output.shards, names, row.naming);
  }
  output.side_files = input.side_files.carried;
  output.notes = NotesOnLeftOut(input.side_files);
  if (row.quantization_config != nullptr) {
    MQ_RETURN_IF_ERROR(AddQuantization(
        input, row.quantization_config(plan.manifest), &output));
  } else if (IsChanged(input, reader)) {
    DropQuantization(input, &output);
  }
  if (IsChanged(input, reader)) DropQuantizationFiles(&output);
  return output;
}

}  // namespace monoquant
