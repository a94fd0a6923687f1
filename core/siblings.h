// Which weights an engine puts together.
//
// Engines multiply an input by several weights at once: query, key and value of
// an attention, gate and up of a feed-forward network. They lay these weights
// side by side as one matrix, which has one scheme, and where a format has a
// scale for a whole matrix (nvfp4), one of these. All experts of a layer are
// one tensor of three dimensions there, so that they too have one scheme.

#ifndef MONOQUANT_CORE_SIBLINGS_H_
#define MONOQUANT_CORE_SIBLINGS_H_

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "ir/checkpoint.h"

namespace monoquant {

// Tensors are their numbers in CheckpointIndex::tensors, in their order.
struct Siblings {
  // For messages: "model.layers.0.self_attn", "model.layers.0.mlp.experts".
  std::string name;
  std::vector<size_t> weights;
};

// The weights that are one matrix in engines, by their names: of the module P
// with the same number of columns P.q_proj, P.k_proj and P.v_proj, and whatever
// else siblings.cc lists. Only sets of two and more.
std::vector<Siblings> FindFusedWeights(const CheckpointIndex& index);

// "model.layers.0.mlp.experts" of "model.layers.0.mlp.experts.3.w1.weight", and
// of the module that has this weight; empty for what is no expert's.
absl::string_view ExpertsOf(absl::string_view name);

// The weights of all experts of a layer, P.experts.N.*. Only sets of two and
// more.
std::vector<Siblings> FindExpertWeights(const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_SIBLINGS_H_
