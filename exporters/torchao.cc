#include "exporters/torchao.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "core/siblings.h"
#include "exporters/engine_directory.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quoted.h"
#include "ir/torchao_metadata.h"

namespace monoquant {
namespace {

// An object of a class, as torchao writes it down.
Json Instance(absl::string_view type, Json data) {
  Json json;
  json.Set("_type", type);
  json.Set("_data", std::move(data));
  return json;
}

// The same of a class whose configuration has a version.
Json Configuration(absl::string_view type, int version, Json data) {
  Json json;
  json.Set("_type", type);
  json.Set("_version", version);
  json.Set("_data", std::move(data));
  return json;
}

bool IsInt8(const QuantizedTensor& tensor) {
  return tensor.scheme.format == NumberFormat::kInt8;
}

// Of a quantized weight: its class, and the names of its parts without what all
// names begin with.
Json Subclass(const QuantizedTensor& tensor) {
  const bool is_int8 = IsInt8(tensor);
  Json data;
  data.Set("block_size",
           Json(Json::Array{Json(int64_t{1}), Json(tensor.shape[1])}));
  data.Set("act_quant_kwargs", Json());
  if (is_int8) {
    data.Set("reduce_range", false);
  } else {
    data.Set("mm_config", Json());
    data.Set("kernel_preference", Instance("KernelPreference", Json("AUTO")));
  }
  data.Set("dtype", Instance("torch.dtype",
                             Json(GetDTypeInfo(tensor.dtype).torch_name)));
  Json json =
      Instance(is_int8 ? "Int8Tensor" : "Float8Tensor", std::move(data));
  json.Set("_tensor_data_names",
           Json(is_int8 ? Json::Array{Json("qdata"), Json("scale"),
                                      Json("zero_point")}
                        : Json::Array{Json("qdata"), Json("scale")}));
  return json;
}

std::vector<std::pair<std::string, std::string>> Describe(
    const Manifest& manifest) {
  std::vector<std::pair<std::string, std::string>> metadata;
  absl::flat_hash_set<absl::string_view> parts;
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    metadata.emplace_back(tensor->name, Subclass(*tensor).ToString());
    parts.insert(tensor->codes_name());
    for (absl::string_view part : tensor->part_names()) parts.insert(part);
  }
  Json plain;
  plain.Set("_type", kTorchaoPlainClass);
  for (const OutputTensor& tensor : manifest.tensors) {
    if (parts.contains(tensor.name) || tensor.tie != kNoTie) continue;
    metadata.emplace_back(tensor.name, plain.ToString());
  }
  Json::Array names;
  for (const auto& [name, text] : metadata) names.push_back(Json(name));
  metadata.emplace_back(kTorchaoNamesKey, Json(std::move(names)).ToString());
  return metadata;
}

absl::Status Check(const Manifest& manifest) {
  for (const QuantizedTensor* tensor : QuantizedWeights(manifest)) {
    if (ExpertsOf(tensor->name).empty()) continue;
    return FailedPreconditionError(
        "tensor ", QuotedName(tensor->name),
        ": is an expert's, and no program loads torchao weights of experts; "
        "leave it as it is (--skip), or use --to compressed-tensors");
  }
  return CheckOneScheme(manifest, "torchao");
}

}  // namespace

const Exporter& TorchaoExporter() {
  static const Exporter* const exporter =
      new EngineDirectory(QuantStorage::kTorchao, Check, Describe);
  return *exporter;
}

Json TorchaoConfig(const Manifest& manifest) {
  const std::vector<const QuantizedTensor*> weights =
      QuantizedWeights(manifest);
  const bool is_int8 = weights.empty() || IsInt8(*weights.front());
  Json data;
  if (is_int8) {
    data.Set("group_size", Json());
    Json row;
    row.Set("dim", -1);
    data.Set("granularity", Configuration("PerRow", 1, std::move(row)));
  } else {
    data.Set("weight_dtype", Instance("torch.dtype", Json("float8_e4m3fn")));
  }
  data.Set("set_inductor_config", true);
  Json type;
  type.Set("default", Configuration(is_int8 ? "Int8WeightOnlyConfig"
                                            : "Float8WeightOnlyConfig",
                                    2, std::move(data)));
  Json config;
  config.Set("quant_method", "torchao");
  config.Set("quant_type", std::move(type));
  config.Set("modules_to_not_convert",
             Json(ToJsonArray(KeptModules(manifest))));
  config.Set("include_input_output_embeddings", false);
  return config;
}

}  // namespace monoquant
