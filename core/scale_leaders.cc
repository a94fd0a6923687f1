#include "core/scale_leaders.h"

#include <algorithm>
#include <cstddef>

#include "core/siblings.h"
#include "ir/quant_scheme.h"

namespace monoquant {

void ShareGlobalScales(const CheckpointIndex& index,
                       std::vector<TensorPlan>* plans) {
  bool any = false;
  for (TensorPlan& plan : *plans) {
    if (plan.action != Action::kQuantize || !HasGlobalScale(plan.scheme)) {
      continue;
    }
    plan.scale_leader = plan.input;
    any = true;
  }
  if (!any) return;
  // The leader of the set that the weight is in by now.
  const auto leader_of = [&](size_t tensor) {
    const size_t tie = index.tensors[tensor].tie;
    size_t leader = (*plans)[tie == kNoTie ? tensor : tie].scale_leader;
    while (leader != kNoTensor && (*plans)[leader].scale_leader != leader) {
      leader = (*plans)[leader].scale_leader;
    }
    return leader;
  };
  for (const Siblings& set : FindFusedWeights(index)) {
    size_t first = kNoTensor;  // above all others
    for (const size_t weight : set.weights) {
      first = std::min(first, leader_of(weight));
    }
    for (const size_t weight : set.weights) {
      const size_t leader = leader_of(weight);
      if (leader != kNoTensor) (*plans)[leader].scale_leader = first;
    }
  }
  for (TensorPlan& plan : *plans) {
    if (plan.scale_leader == kNoTensor) continue;
    // That of a leader, which comes first, is settled.
    plan.scale_leader = (*plans)[plan.scale_leader].scale_leader;
  }
}

}  // namespace monoquant
