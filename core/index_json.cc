#include "core/index_json.h"

#include <string>
#include <utility>
#include <vector>

#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

Json ShapeToJson(const Shape& shape) {
  return Json::Array(shape.begin(), shape.end());
}

Json NameOrNull(const std::string& name) {
  return name.empty() ? Json() : Json(name);
}

Json QuantizationToJson(const QuantRecord& record) {
  if (record.empty()) return Json();
  Json tensors((Json::Array()));
  for (const QuantizedTensor& tensor : record.tensors) {
    Json json;
    json.Set("name", tensor.name);
    json.Set("scheme", SchemeToJson(tensor.scheme));
    json.Set("dtype", DTypeName(tensor.dtype));
    json.Set("shape", ShapeToJson(tensor.shape));
    json.Set("scale", NameOrNull(tensor.scale));
    json.Set("zero_point", NameOrNull(tensor.zero_point));
    if (!tensor.global_scale.empty()) {
      json.Set("global_scale", tensor.global_scale);
    }
    if (tensor.storage != QuantStorage::kPlain) {
      json.Set("storage", StorageName(tensor.storage));
      json.Set("codes", tensor.codes_name());
    }
    tensors.Append(std::move(json));
  }
  Json json;
  // Null where another program quantized the tensors.
  json.Set("version", NameOrNull(record.version));
  json.Set("source",
           record.version.empty() ? Json() : Json(record.source_name));
  json.Set("tensors", std::move(tensors));
  return json;
}

}  // namespace

Json TensorToJson(const CheckpointIndex& index, size_t tensor, LayerKind kind) {
  const TensorInfo& info = index.tensors[tensor];
  Json json;
  json.Set("name", info.name);
  json.Set("dtype", DTypeName(info.dtype));
  json.Set("shape", ShapeToJson(info.shape));
  json.Set("bytes", info.byte_size);
  if (info.tie != kNoTie) json.Set("tie", index.tensors[info.tie].name);
  if (kind != LayerKind::kOther) json.Set("layer_type", LayerKindName(kind));
  return json;
}

Json IndexToJson(const CheckpointIndex& index, Json tensors) {
  Json metadata((Json::Object()));
  for (const auto& [key, value] : index.metadata) metadata.Set(key, value);
  Json json;
  json.Set("schema", "monoquant/inspect/1");
  json.Set("path", index.path);
  json.Set("container", index.container);
  json.Set("metadata", std::move(metadata));
  json.Set("tensors", std::move(tensors));
  json.Set("root", index.root);
  json.Set("quantization", QuantizationToJson(index.quant));
  json.Set("globals", Json::Array(index.globals.begin(), index.globals.end()));
  json.Set("notes", Json::Array(index.notes.begin(), index.notes.end()));
  return json;
}

Json IndexToJson(const CheckpointIndex& index) {
  const std::vector<LayerKind> kinds = FindLayerKinds(index);
  Json tensors((Json::Array()));
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    tensors.Append(TensorToJson(index, i, kinds[i]));
  }
  return IndexToJson(index, std::move(tensors));
}

}  // namespace monoquant
