// Weights that are quantized as a whole or not at all, whatever the reason:
// torch replaces modules, engines put several weights into one matrix.

#ifndef MONOQUANT_CORE_WEIGHT_SETS_H_
#define MONOQUANT_CORE_WEIGHT_SETS_H_

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/types/span.h"
#include "core/plan.h"
#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// Tensors are their numbers in CheckpointIndex::tensors.
struct WeightSet {
  std::vector<size_t> weights;
  // Tensors that are no weights and become a part of the set, as F32, where it
  // is quantized. Without them as they are it is not.
  std::vector<size_t> biases;
  // Whether its weights need the same scheme, too.
  bool one_scheme = false;
  // Whether it is a set for the sake of PlanOptions::program.
  bool for_program = false;
  // Why it is a set, to be read before ", and not with 'fc.bias' as it is".
  std::string reason;
  // What a user can do who wants it otherwise: "give them one scheme".
  std::string remedy;
  // Why none of its weights can be quantized, as a whole message; empty if they
  // can.
  std::string problem;
  // What int8 becomes where nobody asks for a format: that of the module's
  // codes; none where it makes no difference.
  std::optional<NumberFormat> format;
  // Why its weights have no place as the other one of int8 and uint8, as a
  // whole message; and whether that is certain, or a rule may know better.
  std::string other_format_problem;
  bool is_format_certain = true;
};

// All sets that the options ask for. A weight may be in several.
std::vector<WeightSet> FindWeightSets(const CheckpointIndex& index,
                                      const PlanOptions& options);

// Leaves the weights of a set as they are where they are not quantized as a
// whole, and so the sets that share a weight with it. `plans` has one plan for
// each tensor; `has_rule` tells whether a rule asks for a tensor that is tied
// to no other.
//
// FailedPrecondition, naming both tensors and the remedy, if a weight would be
// left for which a rule asks.
absl::Status KeepSetsWhole(const CheckpointIndex& index,
                           absl::Span<const WeightSet> sets,
                           absl::FunctionRef<bool(size_t)> has_rule,
                           std::vector<TensorPlan>* plans);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_WEIGHT_SETS_H_
