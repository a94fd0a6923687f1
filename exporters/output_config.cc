#include "exporters/output_config.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "exporters/program_limits.h"
#include "ir/byte_source.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr char kConfigName[] = "config.json";
constexpr char kQuantizationKey[] = "quantization_config";
constexpr uint64_t kMaxConfigBytes = uint64_t{16} << 20;

// The path of a file, for messages.
std::string PathIn(absl::string_view directory, absl::string_view name) {
  if (directory.empty()) directory = ".";
  return absl::StrCat(directory, absl::EndsWith(directory, "/") ? "" : "/",
                      name);
}

// The input's configuration; an empty object if it has none.
absl::StatusOr<Json> ReadConfig(const ModelFiles& input) {
  const std::vector<std::string>& names = input.side_files.carried;
  if (std::find(names.begin(), names.end(), kConfigName) == names.end()) {
    return Json(Json::Object());
  }
  const auto read = [&]() -> absl::StatusOr<Json> {
    MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                        input.checkpoint_files.open(kConfigName));
    MQ_ASSIGN_OR_RETURN(const std::string text,
                        ReadAll(*source, kMaxConfigBytes));
    MQ_ASSIGN_OR_RETURN(Json json, ParseJson(text));
    if (json.is_object()) return json;
    return InvalidArgumentError("is no JSON object");
  };
  absl::StatusOr<Json> config = read();
  if (config.ok()) return config;
  return DataLossError(
      PathIn(input.directory, kConfigName), ": ", config.status().message(),
      ", so that nothing can be added to it; mend it, or choose "
      "another output format with --to");
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

// Of a model that a program does not load in this format, whatever its weights.
void AddNotes(const Json& config, const Json& quantization,
              OutputPlan* output) {
  const Json* method = quantization.Find("quant_method");
  const Json* type = config.Find("model_type");
  if (method == nullptr || method->AsString() == nullptr ||
      *method->AsString() != "awq" || type == nullptr ||
      type->AsString() == nullptr ||
      !NeedsActivationScales(*type->AsString())) {
    return;
  }
  output->notes.push_back(
      absl::StrCat("Transformers loads no model_type ", *type->AsString(),
                   " in awq without scales of activations; gptq has none"));
}

// Files in which programs of GPTQ's and AWQ's looked for the configuration
// before it was in config.json.
constexpr absl::string_view kQuantizationFiles[] = {"quantize_config.json",
                                                    "quant_config.json"};

}  // namespace

absl::Status AddQuantization(const ModelFiles& input, Json quantization,
                             OutputPlan* output) {
  MQ_ASSIGN_OR_RETURN(const Json config, ReadConfig(input));
  if (config.AsObject()->empty()) {
    output->notes.push_back(
        "the input has no config.json of a model; the output's holds the "
        "quantization_config alone");
  }
  AddNotes(config, quantization, output);
  MakeConfig(config, std::move(quantization), output);
  return absl::OkStatus();
}

void DropQuantization(const ModelFiles& input, OutputPlan* output) {
  const absl::StatusOr<Json> config = ReadConfig(input);
  // One that cannot be read says nothing, and is carried as it is.
  if (!config.ok() || config->Find(kQuantizationKey) == nullptr) return;
  MakeConfig(*config, std::nullopt, output);
  output->notes.push_back(
      "config.json is without the input's quantization_config, which is not "
      "true of the output");
}

void DropQuantizationFiles(OutputPlan* output) {
  for (const absl::string_view name : kQuantizationFiles) {
    if (std::erase(output->side_files, name) == 0) continue;
    output->notes.push_back(absl::StrCat(
        "not carried, since it is not true of the output: ", name));
  }
}

}  // namespace monoquant
