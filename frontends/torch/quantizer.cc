#include "frontends/torch/quantizer.h"

#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

absl::Status Malformed() {
  return DataLossError("malformed quantization parameters");
}

// torch saves scales and zero points as plain tensors. Nothing else is followed
// here, so that quantizers cannot be nested.
absl::StatusOr<TorchTensor> ReadParams(const PickleGraph& graph, NodeId node) {
  if (graph.kind(node) == NodeKind::kList) {
    return UnimplementedError(
        "scales that are a list, as torch 1.3 wrote them, are not read; load "
        "the file in torch and save it again");
  }
  const PickleGlobal* callee = graph.CalleeGlobal(node);
  if (callee == nullptr || !callee->Is("torch._utils", "_rebuild_tensor_v2")) {
    return Malformed();
  }
  MQ_ASSIGN_OR_RETURN(TorchValue value, RebuildTensor(graph, node));
  if (value.kind != TorchValue::Kind::kTensor) return Malformed();
  return std::move(value.tensor);
}

}  // namespace

absl::StatusOr<std::shared_ptr<const TorchQuantizer>> ReadQuantizer(
    const PickleGraph& graph, NodeId node) {
  const absl::Span<const NodeId> items = graph.Items(node);
  const PickleGlobal* scheme =
      items.empty() ? nullptr : graph.AsGlobal(items[0]);
  if (scheme == nullptr) return Malformed();
  auto quantizer = std::make_shared<TorchQuantizer>();
  if (scheme->Is("torch", "per_tensor_affine")) {
    if (items.size() != 3) return Malformed();
    const auto scale = graph.AsFloat(items[1]);
    const auto zero_point = graph.AsInt(items[2]);
    if (!scale.has_value() || !zero_point.has_value()) return Malformed();
    quantizer->scale = *scale;
    quantizer->zero_point = *zero_point;
    return quantizer;
  }
  if (!scheme->Is("torch", "per_channel_affine") &&
      !scheme->Is("torch", "per_channel_affine_float_qparams")) {
    return UnimplementedError(
        "quantization scheme ",
        QuotedName(absl::StrCat(scheme->module, ".", scheme->name)),
        " is not known");
  }
  if (items.size() != 4) return Malformed();
  const auto axis = graph.AsInt(items[3]);
  if (!axis.has_value()) return Malformed();
  quantizer->is_per_channel = true;
  quantizer->axis = *axis;
  MQ_ASSIGN_OR_RETURN(quantizer->scales, ReadParams(graph, items[1]));
  MQ_ASSIGN_OR_RETURN(quantizer->zero_points, ReadParams(graph, items[2]));
  return quantizer;
}

}  // namespace monoquant
