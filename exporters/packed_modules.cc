#include "exporters/packed_modules.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

using IndexByName = absl::flat_hash_map<absl::string_view, size_t>;

// A weight in its place.
struct Placed {
  TorchAoWeight name;
  PackedWeight weight;
};

struct Found {
  TorchAoModule kind;
  std::string name;
  std::vector<Placed> weights;
  bool bidirectional = false;
  // Cells that its weights call for.
  size_t cells = 0;
};

absl::Status Refuse(absl::string_view tensor, absl::string_view why) {
  return FailedPreconditionError(
      "tensor ", QuotedName(tensor), ": ", why,
      "; quantize the original with --to torch-ao, or choose another format");
}

absl::StatusOr<size_t> Find(const IndexByName& by_name,
                            const QuantizedTensor& owner,
                            absl::string_view name) {
  const auto it = by_name.find(name);
  if (it != by_name.end()) return it->second;
  return Refuse(owner.name,
                absl::StrCat("its part ", QuotedName(name), " is missing"));
}

absl::Status CheckBias(const OutputTensor& bias, int64_t rows) {
  if (bias.dtype == DType::kF32 && bias.shape == Shape{rows}) {
    return absl::OkStatus();
  }
  return Refuse(bias.name,
                absl::StrCat("torch packs biases of F32 and shape [", rows,
                             "], and it is ", DTypeName(bias.dtype), " ",
                             ShapeToString(bias.shape)));
}

absl::StatusOr<Placed> Place(const Manifest& manifest,
                             const IndexByName& by_name,
                             const QuantizedTensor& tensor) {
  std::optional<TorchAoWeight> name =
      ParseTorchAoWeight(tensor.name, tensor.shape, tensor.scheme.format);
  if (tensor.storage != QuantStorage::kTorchAo || !name.has_value()) {
    return Refuse(tensor.name,
                  "is quantized already, and stored in another way than "
                  "torch-ao does");
  }
  Placed placed;
  PackedWeight& weight = placed.weight;
  MQ_ASSIGN_OR_RETURN(weight.codes, Find(by_name, tensor, tensor.codes_name()));
  MQ_ASSIGN_OR_RETURN(weight.scale, Find(by_name, tensor, tensor.scale));
  MQ_ASSIGN_OR_RETURN(weight.zero_point,
                      Find(by_name, tensor, tensor.zero_point));
  if (const auto bias = by_name.find(name->bias); bias != by_name.end()) {
    weight.bias = bias->second;
    MQ_RETURN_IF_ERROR(
        CheckBias(manifest.tensors[weight.bias], tensor.shape[0]));
  } else if (!HasOneWeight(name->kind)) {
    return Refuse(tensor.name, "its module has no biases");
  }
  placed.name = *std::move(name);
  return placed;
}

// Puts the weights of a module into their cells.
absl::StatusOr<PackedModule> Pack(Found found) {
  PackedModule module;
  module.kind = found.kind;
  module.name = std::move(found.name);
  const size_t per_cell = HasOneWeight(found.kind) ? 1 : 2;
  // So there can be no more cells than weights.
  if (found.weights.size() != found.cells * per_cell) {
    return Refuse(module.name, "not all weights of the module are quantized");
  }
  module.cells.resize(found.cells);
  for (const Placed& placed : found.weights) {
    PackedWeight& place = module.cells[placed.name.Cell(found.bidirectional)]
                                      [placed.name.hidden ? 1 : 0];
    if (place.codes != kNoTie) {
      return Refuse(module.name, "a weight of the module is there twice");
    }
    place = placed.weight;
  }
  return module;
}

}  // namespace

std::vector<size_t> PackedModule::Parts() const {
  std::vector<size_t> parts;
  for (const auto& cell : cells) {
    for (const PackedWeight& weight : cell) {
      for (const size_t part :
           {weight.codes, weight.scale, weight.zero_point, weight.bias}) {
        if (part != kNoTie) parts.push_back(part);
      }
    }
  }
  return parts;
}

absl::StatusOr<std::vector<PackedModule>> FindPackedModules(
    const Manifest& manifest) {
  IndexByName by_name;
  by_name.reserve(manifest.tensors.size());
  for (size_t i = 0; i < manifest.tensors.size(); ++i) {
    by_name[manifest.tensors[i].name] = i;
  }
  std::vector<Found> found;
  absl::flat_hash_map<std::pair<TorchAoModule, std::string>, size_t> numbers;
  for (const QuantizedTensor& tensor : manifest.record.tensors) {
    if (!HasScales(tensor.scheme.format)) continue;
    MQ_ASSIGN_OR_RETURN(Placed placed, Place(manifest, by_name, tensor));
    const TorchAoWeight& name = placed.name;
    const auto [it, is_new] =
        numbers.try_emplace({name.kind, name.module}, found.size());
    if (is_new) found.push_back({name.kind, name.module, {}});
    Found& module = found[it->second];
    module.bidirectional |= name.reverse;
    module.weights.push_back(std::move(placed));
  }
  std::vector<PackedModule> modules;
  for (Found& module : found) {
    for (const Placed& placed : module.weights) {
      const TorchAoWeight& name = placed.name;
      const size_t directions = module.bidirectional ? 2 : 1;
      module.cells = std::max(module.cells, (name.layer + 1) * directions);
    }
    MQ_ASSIGN_OR_RETURN(PackedModule packed, Pack(std::move(module)));
    modules.push_back(std::move(packed));
  }
  return modules;
}

}  // namespace monoquant
