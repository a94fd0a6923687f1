// Global scales of NVFP4. Programs that lay weights side by side have one for
// all of them, and take the largest.

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/siblings.h"
#include "ir/quant_record.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

absl::StatusOr<float> ReadScale(const Subject& subject,
                                const QuantizedTensor& weight) {
  const size_t number = subject.by_name.at(weight.global_scale);
  uint8_t bytes[sizeof(float)];
  MQ_RETURN_IF_ERROR(subject.stored->Read(number, 0, 1, absl::MakeSpan(bytes)));
  float scale = 0;
  std::memcpy(&scale, bytes, sizeof(scale));
  return scale;
}

}  // namespace

absl::Status CheckGlobalScales(const Subject& subject, Findings* findings) {
  const Program* const program = subject.program;
  if (program != nullptr && !program->fuses_weights) return absl::OkStatus();
  // Sets are found by name and number of columns.
  CheckpointIndex index;
  std::vector<const QuantizedTensor*> weights;
  for (const QuantizedTensor& weight : subject.weights) {
    if (weight.global_scale.empty()) continue;
    TensorInfo info;
    info.name = weight.name;
    info.shape = weight.shape;
    index.tensors.push_back(std::move(info));
    weights.push_back(&weight);
  }
  for (const Siblings& set : FindFusedWeights(index)) {
    const QuantizedTensor& first = *weights[set.weights.front()];
    MQ_ASSIGN_OR_RETURN(const float scale, ReadScale(subject, first));
    for (const size_t number : set.weights) {
      const QuantizedTensor& weight = *weights[number];
      MQ_ASSIGN_OR_RETURN(const float other, ReadScale(subject, weight));
      // Also where one is no number.
      if (other == scale) continue;
      findings->Add(
          program == nullptr ? Severity::kWarning : Severity::kError,
          FindingKind::kProgram, "", weight.name,
          absl::StrCat("has the global scale ", other, ", but that of ",
                       QuotedName(first.name), " is ", scale, ", and ",
                       program == nullptr
                           ? std::string("vLLM takes")
                           : absl::StrCat(program->title, " takes"),
                       " one for both"),
          "quantize them together (--type nvfp4)");
      break;
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
