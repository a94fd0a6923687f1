#include "cli/output_plan.h"

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <system_error>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/quant_record.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;

// A file name in two parts: "model" and "safetensors".
struct Name {
  std::string stem;
  std::string extension;
};

Name Split(const fs::path& path) {
  std::string extension = path.extension().string();
  if (!extension.empty()) extension.erase(0, 1);
  return {path.stem().string(), std::move(extension)};
}

bool IsExtensionOf(const ExporterRow& row, absl::string_view extension) {
  return std::any_of(row.extensions.begin(), row.extensions.end(),
                     [extension](absl::string_view each) {
                       return absl::EqualsIgnoreCase(each, extension);
                     });
}

std::string OrHere(const std::string& directory) {
  return directory.empty() ? "." : directory;
}

// "model" from "model-00001-of-00003"; anything else as it is.
std::string WithoutShardNumber(const std::string& stem) {
  constexpr absl::string_view kPattern = "-ddddd-of-ddddd";
  if (stem.size() <= kPattern.size()) return stem;
  const size_t length = stem.size() - kPattern.size();
  for (size_t i = 0; i < kPattern.size(); ++i) {
    const char c = stem[length + i];
    const bool is_digit = c >= '0' && c <= '9';
    if (kPattern[i] == 'd' ? !is_digit : c != kPattern[i]) return stem;
  }
  return stem.substr(0, length);
}

// What the files of a directory are called, but for their number.
class Naming {
 public:
  Naming(const Input& input, const ExporterRow& row) : input_(input) {
    const FileNaming& naming = row.naming;
    Name name = Split(input.path);
    if (input.is_directory) {
      name = Name();
      if (!input.weight_files.empty() && !IsDistributed(*input.reader)) {
        name = Split(input.weight_files.front());  // stands for all
      }
      name.stem = WithoutShardNumber(name.stem);
      // Other names than those of a format tell nothing.
      if (!IsKnownExtension(name.extension)) name = Name();
    }
    same_format_ = IsExtensionOf(row, name.extension);
    one_.extension = name.extension;
    if (!same_format_) {
      one_.extension = std::string(input.is_directory ? naming.extension
                                                      : row.extensions.front());
    }
    // Loaders of a directory look for the name that goes with the format.
    several_.extension = std::string(naming.extension);
    several_.stem = name.stem.empty() || IsStandardStem(name.stem)
                        ? std::string(naming.stem)
                        : name.stem;
    one_.stem = !same_format_ && input.is_directory ? several_.stem : name.stem;
  }

  // The names of `shards`, which are the input's own files if `as_input`.
  std::vector<std::string> Names(const std::vector<Shard>& shards,
                                 bool as_input) const {
    std::vector<std::string> names;
    const size_t count = shards.size();
    const Name& name = count == 1 ? one_ : several_;
    const bool keep =
        as_input && count > 1 && same_format_ &&
        count == input_.weight_files.size() &&
        std::all_of(input_.weight_files.begin(), input_.weight_files.end(),
                    [this](const std::string& file) {
                      return Split(file).extension == several_.extension;
                    });
    for (size_t i = 0; i < count; ++i) {
      names.push_back(keep
                          ? input_.weight_files[shards[i].group]
                          : ShardFileName(name.stem, name.extension, i, count));
    }
    return names;
  }

  std::string IndexName() const {
    // An index that was named is the one that its directory is read by.
    const std::string& main = input_.checkpoint_files.main;
    if (absl::EndsWith(main, ShardIndexFileName("", several_.extension))) {
      return main;
    }
    return ShardIndexFileName(several_.stem, several_.extension);
  }

 private:
  static bool IsKnownExtension(absl::string_view extension) {
    return std::any_of(AllExporters().begin(), AllExporters().end(),
                       [extension](const ExporterRow& row) {
                         return IsExtensionOf(row, extension);
                       });
  }
  static bool IsStandardStem(absl::string_view stem) {
    return std::any_of(
        AllExporters().begin(), AllExporters().end(),
        [stem](const ExporterRow& row) { return row.naming.stem == stem; });
  }

  const Input& input_;
  bool same_format_ = false;  // as the input's weights
  Name one_;                  // of the only file
  Name several_;              // of shards
};

// For each tensor to be written the position in Input::weight_files of the file
// that it comes from. What lies in no file as it is, counts to the one before.
std::vector<size_t> SourceFiles(const Input& file, const Input& input,
                                const Plan& plan) {
  std::map<std::string, size_t> positions;
  for (const std::string& name : file.weight_files) {
    positions.emplace(name, positions.size());
  }
  absl::flat_hash_map<absl::string_view, size_t> source;
  const std::vector<TensorInfo>& stored = file.stored->index().tensors;
  size_t position = 0;
  for (size_t i = 0; i < stored.size(); ++i) {
    if (const auto extent = file.stored->Locate(i)) {
      position = positions[extent->file];
    }
    source[stored[i].name] = position;
  }
  // Codes may lie under another name than their weight's.
  for (const QuantizedTensor& tensor : file.reader->index().quant.tensors) {
    const auto codes = source.find(tensor.codes_name());
    if (codes == source.end()) continue;
    const size_t of_codes = codes->second;
    source[tensor.name] = of_codes;
  }
  // Which storage they are in now may be another one.
  for (const QuantizedTensor& tensor : input.reader->index().quant.tensors) {
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
    const auto found =
        source.find(input.reader->index().tensors[tensor.input].name);
    if (found != source.end()) position = found->second;
    for (const size_t output : tensor.outputs()) {
      if (output != kNoTensor) result[output] = position;
    }
  }
  return result;
}

absl::StatusOr<std::vector<Shard>> MakeShards(const Input& file,
                                              const Input& input,
                                              const OutputTarget& target,
                                              const Plan& plan,
                                              uint64_t max_shard_bytes) {
  if (max_shard_bytes > 0) return ShardBySize(plan.manifest, max_shard_bytes);
  const bool has_shards = file.is_directory && target.row->naming.has_shards &&
                          !IsDistributed(*file.reader);
  std::vector<Shard> shards = ShardByGroup(
      plan.manifest, has_shards
                         ? SourceFiles(file, input, plan)
                         : std::vector<size_t>(plan.manifest.tensors.size()));
  if (shards.empty()) return ShardBySize(plan.manifest, UINT64_MAX);
  return shards;
}

constexpr char kConfigName[] = "config.json";
constexpr char kQuantizationKey[] = "quantization_config";
constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

// The input's configuration; an empty object if it has none.
absl::StatusOr<Json> ReadConfig(const Input& file) {
  const std::vector<std::string>& names = file.side_files.carried;
  if (std::find(names.begin(), names.end(), kConfigName) == names.end()) {
    return Json(Json::Object());
  }
  const auto read = [&]() -> absl::StatusOr<Json> {
    MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                        file.checkpoint_files.open(kConfigName));
    MQ_ASSIGN_OR_RETURN(const std::string text,
                        ReadAll(*source, kMaxConfigBytes));
    MQ_ASSIGN_OR_RETURN(Json json, ParseJson(text));
    if (json.is_object()) return json;
    return absl::InvalidArgumentError("is no JSON object");
  };
  absl::StatusOr<Json> config = read();
  if (config.ok()) return config;
  return absl::DataLossError(
      absl::StrCat((fs::path(OrHere(file.directory)) / kConfigName).string(),
                   ": ", config.status().message(),
                   ", so that nothing can be added to it; mend it, or choose "
                   "another output format with --to"));
}

// Replaces the configuration among the side files by `config` with this entry,
// or without one.
void MakeConfig(const Json& config, std::optional<Json> quantization,
                OutputPlan* output) {
  Json result{Json::Object()};
  for (const Json::Member& member : *config.AsObject()) {
    if (member.first != kQuantizationKey)
      result.Set(member.first, member.second);
  }
  if (quantization.has_value()) {
    result.Set(kQuantizationKey, *std::move(quantization));
  }
  std::erase(output->side_files, kConfigName);
  output->made_files.push_back({kConfigName, result.ToString(2) + "\n"});
}

// For a format that tells in the configuration how its weights are stored.
absl::Status AddQuantization(const Input& file, Json quantization,
                             OutputPlan* output) {
  MQ_ASSIGN_OR_RETURN(const Json config, ReadConfig(file));
  if (config.AsObject()->empty()) {
    output->notes.push_back(
        "the input has no config.json of a model; the output's holds the "
        "quantization_config alone");
  }
  MakeConfig(config, std::move(quantization), output);
  return absl::OkStatus();
}

// Whether weights that are stored as codes in `file` are in `input` floats, or
// other tensors with the same codes.
bool IsChanged(const Input& file, const Input& input) {
  return file.reader != file.stored ||
         (!file.reader->index().quant.tensors.empty() &&
          input.reader != file.reader);
}

// What the configuration says of codes is not true of what they became.
void DropQuantization(const Input& file, OutputPlan* output) {
  const absl::StatusOr<Json> config = ReadConfig(file);
  // One that cannot be read says nothing, and is carried as it is.
  if (!config.ok() || config->Find(kQuantizationKey) == nullptr) return;
  MakeConfig(*config, std::nullopt, output);
  output->notes.push_back(
      "config.json is without the input's quantization_config, which is not "
      "true of the output");
}

// Files in which programs of GPTQ's and AWQ's looked for the configuration
// before it was in config.json.
constexpr absl::string_view kQuantizationFiles[] = {"quantize_config.json",
                                                    "quant_config.json"};

// They are about the input's codes, too.
void DropQuantizationFiles(OutputPlan* output) {
  for (const absl::string_view name : kQuantizationFiles) {
    if (std::erase(output->side_files, name) == 0) continue;
    output->notes.push_back(absl::StrCat(
        "not carried, since it is not true of the output: ", name));
  }
}

}  // namespace

uint64_t OutputPlan::weight_bytes() const {
  uint64_t bytes = 0;
  for (const WeightFile& file : files) bytes += file.layout.file_size;
  return bytes;
}

absl::StatusOr<OutputPlan> PlanOutput(const Input& file, const Input& input,
                                      const OutputTarget& target,
                                      const Plan& plan,
                                      const Exporter& exporter,
                                      uint64_t max_shard_bytes) {
  OutputPlan output;
  const auto add = [&](std::string name, const Manifest& manifest) {
    absl::StatusOr<FileLayout> layout = exporter.Layout(manifest);
    if (!layout.ok()) return Annotate(file.path, layout.status());
    output.files.push_back(
        {std::move(name), *std::move(layout), manifest.tensors.size()});
    return absl::OkStatus();
  };
  if (!target.is_directory) {
    MQ_RETURN_IF_ERROR(
        add(fs::path(target.path).filename().string(), plan.manifest));
    const fs::path directory = fs::path(target.path).parent_path();
    if (!file.side_files.carried.empty() &&
        !SameFile(OrHere(directory.string()), OrHere(file.directory))) {
      output.notes.push_back(
          absl::StrCat("an output that is a file has no side files; name a "
                       "directory to have ",
                       FewNames(file.side_files.carried)));
    }
    return output;
  }

  absl::StatusOr<std::vector<Shard>> shards =
      MakeShards(file, input, target, plan, max_shard_bytes);
  if (!shards.ok()) return Annotate(file.path, shards.status());
  output.shards = *std::move(shards);
  const Naming naming(file, *target.row);
  std::vector<std::string> names =
      naming.Names(output.shards, /*as_input=*/max_shard_bytes == 0);
  for (size_t i = 0; i < names.size(); ++i) {
    MQ_RETURN_IF_ERROR(add(names[i], output.shards[i].manifest));
  }
  if (names.size() > 1) {
    output.index_name = naming.IndexName();
    output.index_text =
        ShardIndexToJson(output.shards, names, target.row->naming);
  }
  output.side_files = file.side_files.carried;
  output.notes = NotesOnLeftOut(file.side_files);
  if (target.row->quantization_config != nullptr) {
    MQ_RETURN_IF_ERROR(AddQuantization(
        file, target.row->quantization_config(plan.manifest), &output));
  } else if (IsChanged(file, input)) {
    DropQuantization(file, &output);
  }
  if (IsChanged(file, input)) DropQuantizationFiles(&output);
  return output;
}

absl::Status CheckOutputFiles(const OutputPlan& plan,
                              const OutputTarget& target, const Input& input,
                              bool force) {
  if (!target.is_directory) return absl::OkStatus();
  std::vector<std::string> names = plan.side_files;
  for (const TextFile& file : plan.made_files) names.push_back(file.name);
  for (const WeightFile& file : plan.files) names.push_back(file.name);
  if (!plan.index_name.empty()) names.push_back(plan.index_name);
  for (const std::string& name : names) {
    const std::string path = (fs::path(target.path) / name).string();
    MQ_RETURN_IF_ERROR(CheckNotInput(path, input.files));
    std::error_code error;
    if (!force && fs::exists(fs::symlink_status(path, error))) {
      return absl::AlreadyExistsError(absl::StrCat(
          path, ": the output exists already; add --force to replace it"));
    }
  }
  return absl::OkStatus();
}

void AppendFilesJson(const OutputPlan& plan, Json& json) {
  Json::Array files;
  for (const WeightFile& file : plan.files) {
    Json row;
    row.Set("name", file.name);
    row.Set("bytes", file.layout.file_size);
    row.Set("tensors", file.tensors);
    files.push_back(std::move(row));
  }
  json.Set("files", Json(std::move(files)));
  json.Set("index", plan.index_name.empty() ? Json() : Json(plan.index_name));
  Json::Array side_files(plan.side_files.begin(), plan.side_files.end());
  for (const TextFile& file : plan.made_files) {
    side_files.push_back(Json(file.name));
  }
  json.Set("side_files", Json(std::move(side_files)));
}

}  // namespace monoquant::cli
