#include "exporters/program_checks.h"

#include <cstddef>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "core/casts.h"
#include "core/siblings.h"
#include "exporters/program_limits.h"
#include "ir/errors.h"
#include "ir/quant_scheme.h"
#include "ir/quoted.h"
#include "ir/shape.h"

namespace monoquant {
namespace {

constexpr absl::string_view kNotQuantized = "not quantized";

absl::Status Refuse(const Program& program, absl::string_view what,
                    absl::string_view remedy) {
  return FailedPreconditionError("for ", program.title, ": it ", what, "; ",
                                 remedy);
}

std::string Where(absl::string_view tensor) {
  return absl::StrCat("tensor ", QuotedName(tensor));
}

void AddWeight(const std::string& name, const Shape& shape,
               CheckpointIndex* index) {
  TensorInfo info;
  info.name = name;
  info.shape = shape;
  index->tensors.push_back(std::move(info));
}

std::vector<TensorInfo> TensorsOf(const Manifest& manifest) {
  std::vector<TensorInfo> tensors;
  tensors.reserve(manifest.tensors.size());
  for (const OutputTensor& output : manifest.tensors) {
    TensorInfo info;
    info.name = output.name;
    info.dtype = output.dtype;
    info.shape = output.shape;
    tensors.push_back(std::move(info));
  }
  return tensors;
}

// "down_proj.weight" of "m.experts.3.down_proj.weight".
absl::string_view NameInExpert(absl::string_view weight) {
  weight.remove_prefix(ExpertsOf(weight).size() + 1);
  return weight.substr(weight.find('.') + 1);
}

// The weight whose scheme Transformers takes all experts to have: an expert's,
// or the first one, whose group is the configuration's first. Null if nothing
// is quantized.
const QuantizedTensor* LeaderOf(absl::Span<const QuantizedTensor> weights) {
  const QuantizedTensor* first = nullptr;
  for (const QuantizedTensor& weight : weights) {
    if (!HasScales(weight.scheme.format)) continue;
    if (!ExpertsOf(weight.name).empty()) return &weight;
    if (first == nullptr) first = &weight;
  }
  return first;
}

bool IsFp8(const QuantizedTensor& weight) {
  return weight.scheme.format == NumberFormat::kFp8E4M3;
}

absl::Status CheckFloatExperts(const Program& program,
                               absl::Span<const QuantizedTensor> weights,
                               absl::Span<const TensorInfo> tensors) {
  const QuantizedTensor* leader = LeaderOf(weights);
  if (leader == nullptr) return absl::OkStatus();
  const FloatExpertLimit* limit = FindFloatExpertLimit(
      program, StorageRead(leader->storage, leader->scheme), IsFp8(*leader));
  if (limit == nullptr) return absl::OkStatus();
  const std::vector<std::string> experts = FloatExperts(weights, tensors);
  if (experts.empty()) return absl::OkStatus();
  return Annotate(Where(experts.front()),
                  Refuse(program, limit->what, limit->remedy));
}

}  // namespace

absl::Status CheckWeight(const Program& program,
                         const QuantizedTensor& weight) {
  for (const ExceededLimit& exceeded : LimitsExceeded(program, weight)) {
    if (exceeded.limit->consequence == Consequence::kRounded) continue;
    return Refuse(program, exceeded.what, exceeded.limit->remedy);
  }
  return absl::OkStatus();
}

absl::Status CheckManifest(const Program& program, const Manifest& manifest) {
  const std::vector<QuantizedTensor>& weights = manifest.record.tensors;
  for (const QuantizedTensor& weight : weights) {
    if (!HasScales(weight.scheme.format)) continue;
    const absl::Status status = CheckWeight(program, weight);
    if (!status.ok()) return Annotate(Where(weight.name), status);
  }
  const std::vector<TensorInfo> tensors = TensorsOf(manifest);
  const QuantizedTensor* leader = LeaderOf(weights);
  const bool floats_among_experts =
      leader != nullptr &&
      LoadsFloatsAmongExperts(program,
                              StorageRead(leader->storage, leader->scheme),
                              IsFp8(*leader));
  for (const Difference& difference :
       FindDifferences(program.fuses_weights, program.fuses_experts, weights,
                       tensors, floats_among_experts)) {
    return Annotate(
        Where(difference.weight),
        Refuse(program,
               absl::StrCat("is ", difference.scheme, ", but ",
                            QuotedName(difference.first), ", which is loaded ",
                            difference.as, " with it, is ",
                            difference.first_scheme),
               "quantize them alike"));
  }
  return CheckFloatExperts(program, weights, tensors);
}

PlanOptions PlanOptionsFor(QuantStorage storage, const Program* program) {
  PlanOptions options;
  options.storage = storage;
  if (program == nullptr) return options;
  options.program = std::string(program->title);
  options.fused_siblings = program->fuses_weights;
  options.fused_experts = program->fuses_experts;
  options.check_weight = [program](const QuantizedTensor& weight) {
    return CheckWeight(*program, weight);
  };
  options.check_manifest = [program](const Manifest& manifest) {
    return CheckManifest(*program, manifest);
  };
  return options;
}

std::vector<Difference> FindDifferences(
    bool fused, bool experts, absl::Span<const QuantizedTensor> weights,
    absl::Span<const TensorInfo> tensors, bool floats_among_experts) {
  absl::flat_hash_map<absl::string_view, std::string> schemes;
  CheckpointIndex index;
  for (const QuantizedTensor& weight : weights) {
    if (!HasScales(weight.scheme.format)) continue;
    schemes[weight.name] = SchemeToString(weight.scheme);
    AddWeight(weight.name, weight.shape, &index);
  }
  if (schemes.empty()) return {};
  for (const TensorInfo& tensor : tensors) {
    if (tensor.shape.size() != 2 || schemes.contains(tensor.name)) continue;
    AddWeight(tensor.name, tensor.shape, &index);
  }
  const auto scheme_of = [&](size_t weight) -> std::string {
    const auto it = schemes.find(index.tensors[weight].name);
    return it == schemes.end() ? std::string(kNotQuantized) : it->second;
  };
  std::vector<Difference> differences;
  const auto add_difference = [&](size_t weight, size_t first,
                                  absl::string_view as) {
    differences.push_back({index.tensors[weight].name,
                           index.tensors[first].name, scheme_of(weight),
                           scheme_of(first), as});
  };
  const auto add = [&](const std::vector<Siblings>& sets,
                       absl::string_view as) {
    for (const Siblings& set : sets) {
      for (const size_t weight : set.weights) {
        if (scheme_of(weight) == scheme_of(set.weights[0])) continue;
        add_difference(weight, set.weights[0], as);
        break;
      }
    }
  };
  // Those that are quantized are alike, and so are those of one name.
  const auto add_experts = [&](const Siblings& set, absl::string_view as) {
    absl::flat_hash_map<absl::string_view, size_t> first_of;
    size_t first_quantized = index.tensors.size();
    for (const size_t weight : set.weights) {
      const size_t first =
          first_of.try_emplace(NameInExpert(index.tensors[weight].name), weight)
              .first->second;
      const bool is_quantized = scheme_of(weight) != kNotQuantized;
      if (is_quantized && first_quantized == index.tensors.size()) {
        first_quantized = weight;
      }
      const size_t other = scheme_of(weight) != scheme_of(first) ? first
                           : is_quantized ? first_quantized
                                          : weight;
      if (scheme_of(weight) == scheme_of(other)) continue;
      add_difference(weight, other, as);
      break;
    }
  };
  if (fused) add(FindFusedWeights(index), "as one matrix");
  constexpr absl::string_view kAsExperts = "as all experts of a layer";
  if (experts && !floats_among_experts) {
    add(FindExpertWeights(index), kAsExperts);
  } else if (experts) {
    for (const Siblings& set : FindExpertWeights(index)) {
      add_experts(set, kAsExperts);
    }
  }
  return differences;
}

std::vector<std::string> FloatExperts(absl::Span<const QuantizedTensor> weights,
                                      absl::Span<const TensorInfo> tensors) {
  absl::flat_hash_set<absl::string_view> quantized;
  for (const QuantizedTensor& weight : weights) {
    if (HasScales(weight.scheme.format)) quantized.insert(weight.name);
  }
  std::vector<std::string> experts;
  for (const TensorInfo& tensor : tensors) {
    if (tensor.shape.size() == 2 && IsQuantizable(tensor.dtype) &&
        absl::EndsWith(tensor.name, ".weight") &&
        !ExpertsOf(tensor.name).empty() && !quantized.contains(tensor.name)) {
      experts.push_back(tensor.name);
    }
  }
  return experts;
}

}  // namespace monoquant
