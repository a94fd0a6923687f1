#include "core/weight_sets.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/siblings.h"
#include "core/torch_ao_modules.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"
#include "ir/torch_ao.h"

namespace monoquant {
namespace {

bool IsQuantized(const TensorPlan& plan) {
  return plan.action == Action::kQuantize && HasScales(plan.scheme.format);
}

WeightSet SetOf(TorchAoModuleParts module) {
  WeightSet set;
  set.weights = std::move(module.weights);
  set.biases = std::move(module.biases);
  set.reason = absl::StrCat("torch quantizes module ", QuotedName(module.name),
                            " as a whole");
  set.remedy = "quantize all of the module, or leave it (--skip)";
  if (!module.problem.empty()) {
    set.problem = absl::StrCat(StorageName(QuantStorage::kTorchAo),
                               " has no place for module ",
                               QuotedName(module.name), ", which ",
                               module.problem, "; leave it as it is (--skip)");
  }
  set.format = module.format();
  const absl::string_view format = NumberFormatName(module.format());
  set.other_format_problem = absl::StrCat(
      StorageName(QuantStorage::kTorchAo), " has weights of ",
      module.kind == TorchAoModule::kEmbedding ? "embeddings" : "other modules",
      " as ", format, ", and ", QuotedName(module.name), " is one; use ",
      format, ", or leave it as it is (--skip)");
  set.is_format_certain = module.is_certain;
  return set;
}

// `what` is what the program makes of them: "puts weights of 'mlp' into one
// matrix".
WeightSet SetOf(Siblings siblings, absl::string_view program,
                absl::string_view what) {
  WeightSet set;
  set.weights = std::move(siblings.weights);
  set.one_scheme = true;
  set.for_program = true;
  set.reason = absl::StrCat(program, " ", what, " and quantizes it as a whole");
  set.remedy = "give them one scheme, or leave all of them (--skip)";
  return set;
}

class Keeper {
 public:
  Keeper(const CheckpointIndex& index, absl::FunctionRef<bool(size_t)> has_rule,
         std::vector<TensorPlan>* plans)
      : index_(index),
        has_rule_(has_rule),
        plans_(*plans),
        kept_(index.tensors.size()) {}

  absl::Status Keep(absl::Span<const WeightSet> sets);

 private:
  // The plan of the tensor that has the bytes of `tensor`.
  TensorPlan& PlanOf(size_t tensor) {
    const size_t tie = index_.tensors[tensor].tie;
    return plans_[tie == kNoTie ? tensor : tie];
  }
  bool HaveOneScheme(size_t a, size_t b) {
    return PlanOf(a).scheme == PlanOf(b).scheme;
  }
  // "'fc.bias' as it is (rule *.bias)"
  std::string Describe(size_t tensor);
  absl::Status KeepOne(const WeightSet& set, std::vector<size_t>* kept);

  const CheckpointIndex& index_;
  absl::FunctionRef<bool(size_t)> has_rule_;
  std::vector<TensorPlan>& plans_;
  // Tensors that are left for the sake of a set.
  Marks kept_;
};

std::string Keeper::Describe(size_t tensor) {
  const TensorPlan& plan = PlanOf(tensor);
  // Reasons do not quote each other: they would grow from set to set.
  return absl::StrCat(QuotedName(index_.tensors[tensor].name), " as ",
                      IsQuantized(plan) ? SchemeToString(plan.scheme)
                      : kept_[plan.input]
                          ? "it is"
                          : absl::StrCat("it is (", plan.reason, ")"));
}

// Adds the tensors that change to `kept`.
absl::Status Keeper::KeepOne(const WeightSet& set, std::vector<size_t>* kept) {
  size_t stays = kNoTensor;      // as it is
  size_t first = kNoTensor;      // to be quantized
  size_t different = kNoTensor;  // by another scheme than that one
  for (const size_t weight : set.weights) {
    if (!IsQuantized(PlanOf(weight))) {
      if (stays == kNoTensor || kept_[PlanOf(stays).input]) stays = weight;
    } else if (first == kNoTensor) {
      first = weight;
    } else if (set.one_scheme && different == kNoTensor &&
               !HaveOneScheme(weight, first)) {
      different = weight;
    }
  }
  for (const size_t bias : set.biases) {
    if (PlanOf(bias).action != Action::kCopy) stays = bias;
  }
  if (stays == kNoTensor && different == kNoTensor) return absl::OkStatus();
  // Plans change at the end, since reasons quote them.
  std::vector<TensorPlan> copies;
  for (const size_t weight : set.weights) {
    const TensorPlan& plan = PlanOf(weight);
    if (!IsQuantized(plan)) continue;
    const size_t other = stays != kNoTensor             ? stays
                         : HaveOneScheme(weight, first) ? different
                                                        : first;
    TensorPlan copy;
    copy.input = plan.input;
    copy.dtype = plan.dtype;
    copy.reason = absl::StrCat(set.reason, ", and not with ", Describe(other));
    copy.for_program = set.for_program;
    if (has_rule_(plan.input)) {
      return FailedPreconditionError(index_.path, ": tensor ",
                                     QuotedName(index_.tensors[weight].name),
                                     ": ", copy.reason, "; ", set.remedy);
    }
    copies.push_back(std::move(copy));
  }
  for (TensorPlan& copy : copies) {
    const size_t tensor = copy.input;
    kept->push_back(tensor);
    kept_[tensor] = true;
    plans_[tensor] = std::move(copy);
  }
  return absl::OkStatus();
}

absl::Status Keeper::Keep(absl::Span<const WeightSet> sets) {
  if (sets.empty()) return absl::OkStatus();
  std::vector<std::vector<size_t>> sets_of(index_.tensors.size());
  std::vector<size_t> open(sets.size());
  for (size_t s = 0; s < sets.size(); ++s) {
    open[sets.size() - 1 - s] = s;  // the first one is the first to be tried
    for (const size_t weight : sets[s].weights) {
      sets_of[PlanOf(weight).input].push_back(s);
    }
  }
  while (!open.empty()) {
    const size_t s = open.back();
    open.pop_back();
    std::vector<size_t> kept;
    MQ_RETURN_IF_ERROR(KeepOne(sets[s], &kept));
    for (const size_t tensor : kept) {
      open.insert(open.end(), sets_of[tensor].begin(), sets_of[tensor].end());
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<WeightSet> FindWeightSets(const CheckpointIndex& index,
                                      const PlanOptions& options) {
  std::vector<WeightSet> sets;
  if (options.storage == QuantStorage::kTorchAo) {
    for (TorchAoModuleParts& module : FindTorchAoModules(index)) {
      sets.push_back(SetOf(std::move(module)));
    }
  }
  const std::string program =
      options.program.empty() ? "an engine" : options.program;
  const auto add = [&](std::vector<Siblings> found, absl::string_view puts,
                       absl::string_view into) {
    for (Siblings& siblings : found) {
      const std::string what =
          absl::StrCat(puts, " of ", QuotedName(siblings.name), into);
      sets.push_back(SetOf(std::move(siblings), program, what));
    }
  };
  if (options.fused_siblings) {
    add(FindFusedWeights(index), "puts weights", " into one matrix");
  }
  if (options.fused_experts) {
    add(FindExpertWeights(index), "puts the weights", " into one tensor");
  }
  return sets;
}

absl::Status KeepSetsWhole(const CheckpointIndex& index,
                           absl::Span<const WeightSet> sets,
                           absl::FunctionRef<bool(size_t)> has_rule,
                           std::vector<TensorPlan>* plans) {
  return Keeper(index, has_rule, plans).Keep(sets);
}

}  // namespace monoquant
