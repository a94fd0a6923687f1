// Which weights have one global scale in common (HasGlobalScale).

#ifndef MONOQUANT_CORE_SCALE_LEADERS_H_
#define MONOQUANT_CORE_SCALE_LEADERS_H_

#include <vector>

#include "core/plan.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Settles TensorPlan::scale_leader of all weights whose scheme has a global
// scale. Those that engines fuse (core/siblings.h) share it, and so do sets
// that have a tied weight in common. `plans` has one plan for each tensor.
void ShareGlobalScales(const CheckpointIndex& index,
                       std::vector<TensorPlan>* plans);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_SCALE_LEADERS_H_
