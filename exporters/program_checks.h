// Whether a program loads what is planned or written for it: the limits of
// program_limits.h, asked about a weight and about a whole output.

#ifndef MONOQUANT_EXPORTERS_PROGRAM_CHECKS_H_
#define MONOQUANT_EXPORTERS_PROGRAM_CHECKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/plan.h"
#include "exporters/programs.h"
#include "ir/checkpoint.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"

namespace monoquant {

// FailedPrecondition, without the weight's name, for one that the program does
// not load or has no kernel for: "for vLLM: it is ...; leave it as it is
// (--skip)". Scales that are only rounded are fine. What PlanOptions asks.
absl::Status CheckWeight(const Program& program, const QuantizedTensor& weight);

// FailedPrecondition, naming the tensor, for an output that the program does
// not load as a whole: a weight that CheckWeight refuses, weights of one set
// that are quantized differently (FindDifferences), experts that it does not
// load as floats.
absl::Status CheckManifest(const Program& program, const Manifest& manifest);

// The options of a plan whose weights are stored so, for `program`, or for none
// if that is null.
PlanOptions PlanOptionsFor(QuantStorage storage, const Program* program);

// A weight that is quantized differently from the first one of its set.
struct Difference {
  std::string weight;
  std::string first;
  // "int4 group 32 symmetric", "not quantized".
  std::string scheme;
  std::string first_scheme;
  // What programs load both as: "as one matrix".
  absl::string_view as;
};

// The first one of each set (core/siblings.h): of weights that are laid side by
// side if `fused`, of all experts of a layer if `experts`. `tensors` are those
// of the checkpoint, of which matrices that are not among `weights` count as
// not quantized. With `floats_among_experts` (LoadsFloatsAmongExperts) experts
// that are not are compared with those of the same name alone.
std::vector<Difference> FindDifferences(
    bool fused, bool experts, absl::Span<const QuantizedTensor> weights,
    absl::Span<const TensorInfo> tensors, bool floats_among_experts = false);

// Of `tensors` the names of matrices that are experts' and floats.
std::vector<std::string> FloatExperts(absl::Span<const QuantizedTensor> weights,
                                      absl::Span<const TensorInfo> tensors);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAM_CHECKS_H_
