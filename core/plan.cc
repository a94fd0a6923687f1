#include "core/plan.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/casts.h"
#include "core/closest_name.h"
#include "core/code_rows.h"
#include "core/default_policy.h"
#include "core/layer_kind.h"
#include "core/registry.h"
#include "core/resolve_scheme.h"
#include "core/scale_leaders.h"
#include "core/version.h"
#include "core/weight_sets.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr size_t kNoRule = static_cast<size_t>(-1);

bool IsConvolution(LayerKind kind) {
  return kind == LayerKind::kConv1d || kind == LayerKind::kConv2d ||
         kind == LayerKind::kConv3d;
}

// The last component of a path as the user wrote it.
std::string BareName(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash != absl::string_view::npos && path.size() > 1) {
    path.remove_prefix(slash + 1);
  }
  return std::string(path);
}

// Says that this monoquant writes what it has read from there.
void SetWriter(const CheckpointIndex& index, QuantRecord* record) {
  record->version = kVersion;
  record->source_container = index.container;
  record->source_name = BareName(index.path);
}

// Makes the plan for one index and recipe.
class Planner {
 public:
  Planner(const CheckpointIndex& index, const Recipe& recipe,
          const PlanOptions& options)
      : index_(index), recipe_(recipe), options_(options) {}

  absl::StatusOr<Plan> Make();

 private:
  const TensorInfo& info(size_t i) const { return index_.tensors[i]; }
  // Torch replaces modules by their class, whatever their size.
  bool in_modules() const { return options_.storage == QuantStorage::kTorchAo; }
  bool for_engines() const {
    return !in_modules() && options_.storage != QuantStorage::kPlain;
  }
  // Prefix of messages: the file and the tensor.
  std::string Where(size_t i) const {
    return absl::StrCat(index_.path, ": tensor ", QuotedName(info(i).name));
  }

  absl::Status CheckNotQuantized() const;
  absl::Status CheckDoubleQuant() const;
  absl::Status MatchRules();
  absl::Status UnmatchedRule(size_t rule) const;
  absl::Status Decide(TensorPlan* plan) const;
  bool WantsKind(LayerKind kind) const;
  Verdict DefaultVerdict(size_t tensor) const;
  absl::Status QuantizeByDefault(TensorPlan* plan) const;
  absl::StatusOr<ResolvedScheme> Resolve(const SchemeSpec& spec,
                                         size_t tensor) const;
  QuantStorage StorageOf(const SchemeSpec& spec) const;
  absl::StatusOr<CodePacking> PackingOf(size_t tensor, QuantStorage storage,
                                        const QuantScheme& scheme) const;
  absl::Status Quantize(const SchemeSpec& spec, std::string reason,
                        bool by_default, TensorPlan* plan) const;
  absl::Status CheckKind(size_t tensor) const;
  absl::Status CheckProblem(size_t tensor, NumberFormat format) const;
  absl::Status CheckProgram(size_t tensor, QuantStorage storage,
                            const QuantScheme& scheme) const;
  void FindSets();
  absl::Status KeepSets();
  absl::Status Output(TensorPlan* plan);
  absl::Status OutputQuantized(const TensorPlan& owner, TensorPlan* plan);
  absl::StatusOr<size_t> AddOutput(std::string name, DType dtype, Shape shape,
                                   size_t tie);

  const CheckpointIndex& index_;
  const Recipe& recipe_;
  const PlanOptions& options_;
  // For each tensor: the first rule that matches it or a tensor tied to it, and
  // whether it or one that is tied to it is an embedding. Both are complete for
  // tensors without a tie only, which decide for the others.
  std::vector<size_t> rule_;
  Marks embedding_;
  // Likewise: what kind of layer has it as its weight. One that is an embedding
  // under any name is an embedding.
  std::vector<LayerKind> kind_;
  // And which dimension its output channels are.
  std::vector<int> output_axis_;
  // For each tensor those that are tied to it.
  std::vector<std::vector<size_t>> ties_;
  std::vector<std::string> kept_;
  // Weights that are quantized as a whole; for each tensor why it cannot be in
  // its set, or empty; and the biases that become F32 with theirs.
  std::vector<WeightSet> sets_;
  std::vector<std::string> problem_;
  // Likewise: the set that says which format its codes have, or null.
  std::vector<const WeightSet*> format_set_;
  Marks widened_;
  Plan plan_;
};

absl::Status Planner::CheckNotQuantized() const {
  if (index_.quant.tensors.empty()) return absl::OkStatus();
  const QuantizedTensor& first = index_.quant.tensors.front();
  const std::string& source = index_.quant.source_name;
  return FailedPreconditionError(
      index_.path, ": is already quantized (tensor ", QuotedName(first.name),
      " is ", SchemeToString(first.scheme), "); dequantize it first, or start ",
      source.empty() ? "from the original"
                     : absl::StrCat("from ", QuotedName(source),
                                    ", which it was made from"));
}

// InvalidArgument if scales are to be quantized that the output has no codes
// for.
absl::Status Planner::CheckDoubleQuant() const {
  if (options_.storage == QuantStorage::kBitsandbytes ||
      options_.storage == QuantStorage::kBitsandbytesNested) {
    return absl::OkStatus();
  }
  bool asked = recipe_.defaults.double_quant;
  for (const Rule& rule : recipe_.rules) {
    asked = asked || (rule.spec.has_value() && rule.spec->double_quant);
  }
  if (!asked) return absl::OkStatus();
  return InvalidArgumentError(
      index_.path, ": ", StorageName(options_.storage),
      " has no place for scales that are quantized (double_quant); use --to "
      "bitsandbytes, or leave it out");
}

absl::Status Planner::UnmatchedRule(size_t rule) const {
  std::vector<absl::string_view> names;
  names.reserve(index_.tensors.size());
  for (const TensorInfo& tensor : index_.tensors) names.push_back(tensor.name);
  const std::string& match = recipe_.rules[rule].match;
  const absl::string_view closest = ClosestName(match, names);
  return InvalidArgumentError(
      index_.path, ": rule ", QuotedName(match), " matches none of the ",
      names.size(), " tensors; ",
      closest.empty()
          ? "list their names with inspect"
          : absl::StrCat("did you mean ", QuotedName(closest), "?"));
}

absl::Status Planner::MatchRules() {
  const size_t count = index_.tensors.size();
  rule_.assign(count, kNoRule);
  embedding_.assign(count, false);
  kind_ = FindLayerKinds(index_);
  output_axis_ = FindOutputAxes(index_, kind_);
  ties_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t owner = info(i).tie == kNoTie ? i : info(i).tie;
    if (owner != i) ties_[owner].push_back(i);
    if (IsEmbedding(info(i))) embedding_[owner] = true;
    if (kind_[owner] == LayerKind::kOther ||
        kind_[i] == LayerKind::kEmbedding) {
      kind_[owner] = kind_[i];
      output_axis_[owner] = output_axis_[i];
    }
  }
  for (size_t r = 0; r < recipe_.rules.size(); ++r) {
    const Rule& rule = recipe_.rules[r];
    size_t other = kNoTensor;  // a match that cannot be quantized
    bool matched = false;
    for (size_t i = 0; i < count; ++i) {
      if (!GlobMatch(rule.match, info(i).name)) continue;
      if (rule.spec.has_value() && !IsQuantizable(info(i).dtype)) {
        other = i;
        continue;
      }
      matched = true;
      const size_t owner = info(i).tie == kNoTie ? i : info(i).tie;
      rule_[owner] = std::min(rule_[owner], r);
    }
    if (matched || recipe_.allow_unmatched) continue;
    if (other == kNoTensor) return UnmatchedRule(r);
    return InvalidArgumentError(
        Where(other), " has type ", DTypeName(info(other).dtype), ", but rule ",
        QuotedName(rule.match), " asks for ",
        NumberFormatName(rule.spec->format),
        "; only F16, BF16, F32 and F64 tensors can be quantized");
  }
  return absl::OkStatus();
}

// The bytes of codes, scales and zero points.
uint64_t QuantizedBytes(const QuantScheme& scheme, const ParamLayout& layout) {
  const Codec& codec = DefaultRegistry().GetCodec(scheme.format);
  const CodeRows rows(codec, layout.row);
  return rows.BytesOf(0, layout.num_elements) +
         layout.num_params *
             (FloatBytes(scheme.scale_dtype) + (scheme.symmetric ? 0 : 1));
}

// FailedPrecondition for what the storage has no place for, or has one that
// outputs do not use.
absl::StatusOr<StoredWeight> Store(const TensorInfo& tensor,
                                   QuantStorage storage,
                                   const QuantScheme& scheme) {
  MQ_ASSIGN_OR_RETURN(StoredWeight stored,
                      StoreWeight(storage, tensor.name, scheme, tensor.shape));
  MQ_RETURN_IF_ERROR(CheckWritable(storage, scheme, tensor.shape));
  return stored;
}

QuantStorage Planner::StorageOf(const SchemeSpec& spec) const {
  return spec.double_quant ? QuantStorage::kBitsandbytesNested
                           : options_.storage;
}

// FailedPrecondition for weights that engines have no quantized layer for,
// whatever their names and shapes.
absl::Status Planner::CheckKind(size_t tensor) const {
  if (!for_engines()) return absl::OkStatus();
  absl::string_view what;
  switch (kind_[tensor]) {
    case LayerKind::kTransposedLinear:
      what = "a weight of [inputs, outputs] (layer type TransposedLinear)";
      break;
    case LayerKind::kEmbedding:
      what = "an embedding";
      break;
    case LayerKind::kExperts:
      what = "experts that are one tensor";
      break;
    default:
      return absl::OkStatus();
  }
  return FailedPreconditionError(StorageName(options_.storage),
                                 " has no place for ", what,
                                 "; leave it as it is (--skip)");
}

// How the codes of a tensor lie in their own. FailedPrecondition if it cannot
// be stored under one of its names.
absl::StatusOr<CodePacking> Planner::PackingOf(
    size_t tensor, QuantStorage storage, const QuantScheme& scheme) const {
  if (HasScales(scheme.format)) {
    MQ_RETURN_IF_ERROR(CheckKind(tensor));
    MQ_RETURN_IF_ERROR(CheckProblem(tensor, scheme.format));
  }
  for (const size_t tie : ties_[tensor]) {
    if (HasScales(scheme.format)) {
      MQ_RETURN_IF_ERROR(CheckProblem(tie, scheme.format));
    }
    MQ_RETURN_IF_ERROR(Store(info(tie), storage, scheme).status());
  }
  MQ_ASSIGN_OR_RETURN(const StoredWeight stored,
                      Store(info(tensor), storage, scheme));
  return stored.packing;
}

// FailedPrecondition for weights that the program has no use for under one of
// their names.
absl::Status Planner::CheckProgram(size_t tensor, QuantStorage storage,
                                   const QuantScheme& scheme) const {
  if (options_.check_weight == nullptr || !HasScales(scheme.format)) {
    return absl::OkStatus();
  }
  QuantizedTensor weight;
  weight.scheme = scheme;
  weight.dtype = info(tensor).dtype;
  weight.shape = info(tensor).shape;
  weight.storage = storage;
  weight.name = info(tensor).name;
  MQ_RETURN_IF_ERROR(options_.check_weight(weight));
  for (const size_t tie : ties_[tensor]) {
    weight.name = info(tie).name;
    MQ_RETURN_IF_ERROR(options_.check_weight(weight));
  }
  return absl::OkStatus();
}

absl::StatusOr<ResolvedScheme> Planner::Resolve(const SchemeSpec& spec,
                                                size_t tensor) const {
  const DType dtype = info(tensor).dtype;
  const DType weight = IsScaleDType(dtype) ? dtype : DType::kF32;
  // Engines and torch have axis 0 for the layers that they quantize.
  const bool plain = options_.storage == QuantStorage::kPlain;
  return ResolveScheme(spec, info(tensor).shape,
                       DefaultScaleDType(options_.storage, weight),
                       plain ? output_axis_[tensor] : 0);
}

absl::Status Planner::Quantize(const SchemeSpec& spec, std::string reason,
                               bool by_default, TensorPlan* plan) const {
  const TensorInfo& tensor = info(plan->input);
  if (tensor.byte_size == 0) {
    plan->reason = "empty";
    return absl::OkStatus();
  }
  absl::StatusOr<ResolvedScheme> resolved = Resolve(spec, plan->input);
  if (!resolved.ok()) return Annotate(Where(plan->input), resolved.status());
  const QuantScheme& scheme = resolved->scheme;
  if (!HasScales(scheme.format) && CodeDType(scheme.format) == tensor.dtype) {
    plan->reason = absl::StrCat("already ", DTypeName(tensor.dtype));
    return absl::OkStatus();
  }
  absl::StatusOr<ParamLayout> layout = ComputeParamLayout(scheme, tensor.shape);
  if (!layout.ok()) return Annotate(Where(plan->input), layout.status());
  const QuantStorage storage = StorageOf(spec);
  absl::StatusOr<CodePacking> packing = PackingOf(plan->input, storage, scheme);
  if (!packing.ok() && by_default) {
    // Nobody has asked for this tensor: it has no place, and stays.
    plan->reason = std::string(packing.status().message());
    return absl::OkStatus();
  }
  if (!packing.ok()) return Annotate(Where(plan->input), packing.status());
  const absl::Status useful = CheckProgram(plan->input, storage, scheme);
  if (!useful.ok() && by_default) {
    plan->reason = std::string(useful.message());
    plan->for_program = true;
    return absl::OkStatus();
  }
  if (!useful.ok()) return Annotate(Where(plan->input), useful);
  plan->action = Action::kQuantize;
  plan->storage = storage;
  plan->packing = *packing;
  plan->reason = std::move(reason);
  if (!resolved->note.empty()) {
    absl::StrAppend(&plan->reason, "; ", resolved->note);
  }
  plan->scheme = scheme;
  plan->layout = *std::move(layout);
  if (HasScales(scheme.format)) {
    plan->observer = spec.observer;
    plan->algorithm = spec.algorithm;
  }
  return absl::OkStatus();
}

bool Planner::WantsKind(LayerKind kind) const {
  const std::vector<LayerKind>& types = recipe_.layer_types;
  return std::find(types.begin(), types.end(), kind) != types.end();
}

// What happens to a tensor that no rule matches, before its scheme is known.
Verdict Planner::DefaultVerdict(size_t tensor) const {
  const bool embeddings = WantsKind(LayerKind::kEmbedding);
  Verdict verdict = DefaultPolicy(
      info(tensor), in_modules() ? 0 : recipe_.min_elements, embeddings);
  if (!verdict.quantize) return verdict;
  if (!embeddings && embedding_[tensor]) {
    return {false, "embedding (name of a tied tensor)"};
  }
  if (!recipe_.layer_types.empty() && !WantsKind(kind_[tensor])) {
    return {false, absl::StrCat("layer type ", LayerKindName(kind_[tensor]))};
  }
  if (in_modules() && recipe_.layer_types.empty() &&
      IsConvolution(kind_[tensor])) {
    return {false, absl::StrCat("layer type ", LayerKindName(kind_[tensor]),
                                ", which quantize_dynamic leaves in float")};
  }
  if (for_engines()) {
    std::string reason = ReasonForEngines(info(tensor), options_.storage);
    if (!reason.empty()) return {false, std::move(reason)};
  }
  return verdict;
}

absl::Status Planner::QuantizeByDefault(TensorPlan* plan) const {
  const TensorInfo& tensor = info(plan->input);
  Verdict verdict = DefaultVerdict(plan->input);
  if (!verdict.quantize) {
    plan->reason = std::move(verdict.reason);
    return absl::OkStatus();
  }
  SchemeSpec spec = recipe_.defaults;
  const WeightSet* const set = format_set_[plan->input];
  if (set != nullptr && spec.format == NumberFormat::kInt8) {
    spec.format = *set->format;
  }
  TensorPlan quantized = *plan;
  MQ_RETURN_IF_ERROR(Quantize(spec, std::move(verdict.reason),
                              /*by_default=*/true, &quantized));
  // One scale for every few values can take more than it saves.
  if (!in_modules() && quantized.action == Action::kQuantize &&
      HasScales(quantized.scheme.format) &&
      QuantizedBytes(quantized.scheme, quantized.layout) >= tensor.byte_size) {
    plan->reason = absl::StrCat("would not get smaller as ",
                                SchemeToString(quantized.scheme));
    return absl::OkStatus();
  }
  *plan = std::move(quantized);
  return absl::OkStatus();
}

// Settles what happens to a tensor that is tied to no earlier one.
absl::Status Planner::Decide(TensorPlan* plan) const {
  const size_t i = plan->input;
  if (!kept_[i].empty()) {
    plan->reason = kept_[i];
    return absl::OkStatus();
  }
  if (rule_[i] != kNoRule) {
    const Rule& rule = recipe_.rules[rule_[i]];
    std::string reason = absl::StrCat("rule ", rule.match);
    if (rule.spec.has_value()) {
      return Quantize(*rule.spec, std::move(reason), /*by_default=*/false,
                      plan);
    }
    plan->reason = std::move(reason);
    return absl::OkStatus();
  }
  if (recipe_.only_rules) {
    plan->reason = "no rule";
    return absl::OkStatus();
  }
  return QuantizeByDefault(plan);
}

// -------------------------------------------------------------------- sets --

void Planner::FindSets() {
  sets_ = FindWeightSets(index_, options_);
  problem_.resize(index_.tensors.size());
  format_set_.resize(index_.tensors.size());
  widened_.resize(index_.tensors.size());
  for (const WeightSet& set : sets_) {
    for (const size_t weight : set.weights) {
      if (!set.problem.empty()) problem_[weight] = set.problem;
      if (set.format.has_value()) format_set_[weight] = &set;
    }
  }
}

// FailedPrecondition if a weight cannot be quantized with the others of a set,
// or not by this format.
absl::Status Planner::CheckProblem(size_t tensor, NumberFormat format) const {
  if (!problem_[tensor].empty()) {
    return FailedPreconditionError(problem_[tensor]);
  }
  const WeightSet* const set = format_set_[tensor];
  if (set == nullptr || format == *set->format ||
      (format != NumberFormat::kInt8 && format != NumberFormat::kUInt8)) {
    return absl::OkStatus();
  }
  // A rule is not about what is tied to the tensor.
  const bool is_tied = info(tensor).tie != kNoTie;
  if (!set->is_format_certain && !is_tied) return absl::OkStatus();
  return FailedPreconditionError(set->other_format_problem);
}

absl::Status Planner::KeepSets() {
  MQ_RETURN_IF_ERROR(KeepSetsWhole(
      index_, sets_, [this](size_t i) { return rule_[i] != kNoRule; },
      &plan_.tensors));
  for (const WeightSet& set : sets_) {
    const size_t tie = info(set.weights.front()).tie;
    const TensorPlan& plan =
        plan_.tensors[tie == kNoTie ? set.weights.front() : tie];
    if (plan.action != Action::kQuantize || !HasScales(plan.scheme.format)) {
      continue;
    }
    for (const size_t bias : set.biases) widened_[bias] = true;
  }
  return absl::OkStatus();
}

// ----------------------------------------------------------------- outputs --

absl::StatusOr<size_t> Planner::AddOutput(std::string name, DType dtype,
                                          Shape shape, size_t tie) {
  OutputTensor output;
  output.name = std::move(name);
  output.dtype = dtype;
  MQ_ASSIGN_OR_RETURN(output.byte_size, ByteSize(dtype, shape));
  output.shape = std::move(shape);
  output.tie = tie;
  if (tie == kNoTie) plan_.output_bytes += output.byte_size;
  plan_.manifest.tensors.push_back(std::move(output));
  return plan_.manifest.tensors.size() - 1;
}

// Adds the parts of a quantized tensor and its line in the record. For a tie:
// sharing those of the tensor that it is tied to.
absl::Status Planner::OutputQuantized(const TensorPlan& owner,
                                      TensorPlan* plan) {
  const TensorInfo& tensor = info(plan->input);
  const bool tied = plan->action == Action::kTie;
  MQ_ASSIGN_OR_RETURN(const StoredWeight stored,
                      Store(tensor, owner.storage, owner.scheme));
  const auto add = [&](const std::optional<StoredPart>& part, size_t shared,
                       size_t* output) {
    if (!part.has_value()) return absl::OkStatus();
    MQ_ASSIGN_OR_RETURN(*output, AddOutput(part->name, part->dtype, part->shape,
                                           tied ? shared : kNoTie));
    return absl::OkStatus();
  };
  MQ_RETURN_IF_ERROR(add(stored.codes, owner.output, &plan->output));
  MQ_RETURN_IF_ERROR(add(stored.scale, owner.scale, &plan->scale));
  MQ_RETURN_IF_ERROR(
      add(stored.zero_point, owner.zero_point, &plan->zero_point));
  MQ_RETURN_IF_ERROR(
      add(stored.global_scale, owner.global_scale, &plan->global_scale));
  for (size_t i = 0; i < stored.constants.size(); ++i) {
    size_t output = kNoTensor;
    MQ_RETURN_IF_ERROR(add(stored.constants[i].part,
                           tied ? owner.constants[i].output : kNoTensor,
                           &output));
    plan->constants.push_back({output, stored.constants[i].kind});
  }
  plan_.manifest.record.tensors.push_back(RecordOf(tensor.name, owner.scheme,
                                                   owner.storage, stored,
                                                   tensor.dtype, tensor.shape));
  return absl::OkStatus();
}

// Adds what tensor `plan->input` becomes.
absl::Status Planner::Output(TensorPlan* plan) {
  const TensorInfo& tensor = info(plan->input);
  const bool tied = plan->action == Action::kTie;
  const TensorPlan& owner = tied ? plan_.tensors[tensor.tie] : *plan;
  if (owner.action == Action::kQuantize) return OutputQuantized(owner, plan);
  const DType dtype = widened_[plan->input] ? DType::kF32 : tensor.dtype;
  MQ_ASSIGN_OR_RETURN(plan->output, AddOutput(tensor.name, dtype, tensor.shape,
                                              tied ? owner.output : kNoTie));
  return absl::OkStatus();
}

absl::StatusOr<Plan> Planner::Make() {
  MQ_RETURN_IF_ERROR(ValidateRecipe(recipe_));
  MQ_RETURN_IF_ERROR(CheckNotQuantized());
  MQ_RETURN_IF_ERROR(CheckDoubleQuant());
  MQ_RETURN_IF_ERROR(MatchRules());
  const size_t count = index_.tensors.size();
  kept_.assign(count, "");
  for (const auto& [i, reason] : options_.keep) {
    if (i >= count) {
      return InvalidArgumentError(index_.path, ": there is no tensor ", i,
                                  " to keep");
    }
    kept_[info(i).tie == kNoTie ? i : info(i).tie] = reason;
  }

  FindSets();

  plan_.nonfinite = recipe_.nonfinite;
  plan_.manifest.metadata = index_.metadata;
  QuantRecord& record = plan_.manifest.record;
  SetWriter(index_, &record);
  record.recipe = RecipeToJson(recipe_).ToString();

  plan_.tensors.reserve(count);
  for (size_t i = 0; i < count; ++i) {
    TensorPlan plan;
    plan.input = i;
    plan.dtype = info(i).dtype;
    if (info(i).tie == kNoTie) {
      plan_.input_bytes += info(i).byte_size;
      MQ_RETURN_IF_ERROR(Decide(&plan));
    } else {
      plan.action = Action::kTie;
      plan.reason = absl::StrCat("tied to ", info(info(i).tie).name);
    }
    plan_.tensors.push_back(std::move(plan));
  }
  MQ_RETURN_IF_ERROR(KeepSets());
  ShareGlobalScales(index_, &plan_.tensors);
  for (size_t i = 0; i < count; ++i) {
    absl::Status status = Output(&plan_.tensors[i]);
    if (!status.ok()) return Annotate(Where(i), status);
  }
  if (options_.check_manifest != nullptr) {
    absl::Status status = options_.check_manifest(plan_.manifest);
    if (!status.ok()) return Annotate(index_.path, status);
  }
  return std::move(plan_);
}

// Parts of quantized tensors have names that may already be taken. Only they
// are looked at: the names of the input are unique.
absl::Status CheckNames(const CheckpointIndex& index, const Plan& plan) {
  absl::flat_hash_set<absl::string_view> parts;
  for (const TensorPlan& tensor : plan.tensors) {
    for (size_t output : tensor.outputs()) {
      const std::string& name = plan.manifest.tensors[output].name;
      if (name != index.tensors[tensor.input].name) parts.insert(name);
    }
  }
  for (const TensorInfo& tensor : index.tensors) {
    if (!parts.contains(tensor.name)) continue;
    return FailedPreconditionError(
        index.path, ": tensor ", QuotedName(tensor.name),
        " has the name that a parameter of a quantized tensor would get; skip "
        "that tensor, or rename this one");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<size_t> TensorPlan::outputs() const {
  std::vector<size_t> all = {output};
  for (const size_t part : {scale, zero_point, global_scale}) {
    if (part != kNoTensor) all.push_back(part);
  }
  for (const Constant& constant : constants) all.push_back(constant.output);
  return all;
}

uint64_t Plan::left_for_program() const {
  return static_cast<uint64_t>(std::count_if(
      tensors.begin(), tensors.end(),
      [](const TensorPlan& tensor) { return tensor.for_program; }));
}

absl::StatusOr<Plan> MakePlan(const CheckpointIndex& index,
                              const Recipe& recipe,
                              const PlanOptions& options) {
  MQ_ASSIGN_OR_RETURN(Plan plan, Planner(index, recipe, options).Make());
  MQ_RETURN_IF_ERROR(CheckNames(index, plan));
  return plan;
}

absl::StatusOr<Plan> MakeCopyPlan(const CheckpointIndex& index) {
  Plan plan;
  plan.manifest.record = index.quant;
  if (index.quant.version.empty() && !index.quant.empty()) {
    SetWriter(index, &plan.manifest.record);
  }
  plan.manifest.metadata = index.metadata;
  for (size_t i = 0; i < index.tensors.size(); ++i) {
    const TensorInfo& tensor = index.tensors[i];
    TensorPlan copy;
    copy.input = i;
    copy.dtype = tensor.dtype;
    copy.output = i;
    OutputTensor output;
    output.name = tensor.name;
    output.dtype = tensor.dtype;
    output.shape = tensor.shape;
    output.byte_size = tensor.byte_size;
    output.tie = tensor.tie;
    if (tensor.tie == kNoTie) {
      copy.reason = "copy";
      plan.input_bytes += tensor.byte_size;
      plan.output_bytes += tensor.byte_size;
    } else {
      copy.action = Action::kTie;
      copy.reason = absl::StrCat("tied to ", index.tensors[tensor.tie].name);
    }
    plan.tensors.push_back(std::move(copy));
    plan.manifest.tensors.push_back(std::move(output));
  }
  return plan;
}

}  // namespace monoquant
