// The plan as a document (docs/schemas/plan.json).

#include <cstddef>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "core/layer_kind.h"
#include "core/plan.h"
#include "core/recipe.h"
#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/manifest.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr absl::string_view kActionNames[] = {"copy", "quantize", "tie"};

Json ShapeToJson(const Shape& shape) {
  Json::Array dims(shape.begin(), shape.end());
  return Json(std::move(dims));
}

Json OutputToJson(const OutputTensor& output) {
  Json json;
  json.Set("name", output.name);
  json.Set("dtype", DTypeName(output.dtype));
  json.Set("shape", ShapeToJson(output.shape));
  json.Set("bytes", output.byte_size);
  return json;
}

Json TensorToJson(const CheckpointIndex& index, const Plan& plan,
                  LayerKind kind, const TensorPlan& tensor) {
  const TensorInfo& info = index.tensors[tensor.input];
  Json json;
  json.Set("name", info.name);
  json.Set("dtype", DTypeName(info.dtype));
  json.Set("shape", ShapeToJson(info.shape));
  json.Set("bytes", info.byte_size);
  if (kind != LayerKind::kOther) {
    json.Set("layer_type", LayerKindName(kind));
  }
  json.Set("action", kActionNames[static_cast<size_t>(tensor.action)]);
  json.Set("reason", tensor.reason);
  if (tensor.action == Action::kTie) {
    json.Set("tied_to", index.tensors[info.tie].name);
  }
  if (tensor.action == Action::kQuantize) {
    json.Set("scheme", SchemeToJson(tensor.scheme));
    if (tensor.storage == QuantStorage::kBitsandbytesNested) {
      json.Set("double_quant", true);
    }
    if (HasScales(tensor.scheme.format)) {
      json.Set("observer", tensor.observer);
      json.Set("algorithm", tensor.algorithm);
    }
  }
  Json::Array outputs;
  for (size_t i : tensor.outputs()) {
    if (i == kNoTensor) continue;
    outputs.push_back(OutputToJson(plan.manifest.tensors[i]));
  }
  json.Set("outputs", Json(std::move(outputs)));
  return json;
}

}  // namespace

Json PlanToJson(const CheckpointIndex& index, const Plan& plan) {
  Json json;
  json.Set("schema", "monoquant/plan/1");
  json.Set("container", index.container);
  json.Set("input_bytes", plan.input_bytes);
  json.Set("output_bytes", plan.output_bytes);
  json.Set("nonfinite", NonfiniteName(plan.nonfinite));
  Json::Array tensors;
  tensors.reserve(plan.tensors.size());
  const std::vector<LayerKind> kinds = FindLayerKinds(index);
  for (const TensorPlan& tensor : plan.tensors) {
    tensors.push_back(TensorToJson(index, plan, kinds[tensor.input], tensor));
  }
  json.Set("tensors", Json(std::move(tensors)));
  return json;
}

}  // namespace monoquant
