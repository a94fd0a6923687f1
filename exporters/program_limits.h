// What programs can do with a quantized weight beyond its storage: shapes and
// groups that their kernels take.

#ifndef MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_
#define MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "exporters/programs.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"

namespace monoquant {

struct ProgramLimit {
  // Program::name of those that have it.
  absl::Span<const absl::string_view> programs;
  // Weights in these storages.
  absl::Span<const QuantStorage> storages;
  // Whether a weight beyond it does not load, or loads as other numbers;
  // otherwise it is slower, or refused by some versions.
  bool fails = false;
  // What is beyond the limit, as the end of a sentence about the weight ("has
  // 100 columns, ..."); empty if nothing is.
  std::string (*exceeds)(const QuantizedTensor& weight);
  // How it is known: "tested with Transformers 5.23", or that it is not tested.
  absl::string_view source;
  absl::string_view remedy;
};

// Every limit. A new one is a row in program_limits.cc.
absl::Span<const ProgramLimit> AllProgramLimits();

struct ExceededLimit {
  const ProgramLimit* limit;
  std::string what;  // as ProgramLimit::exceeds
};

// The limits of a program that a weight is beyond, in the order of the rows.
// `weight` has two dimensions; its dtype is that of the model where the reader
// knows it.
std::vector<ExceededLimit> LimitsExceeded(const Program& program,
                                          const QuantizedTensor& weight);

// Whether torch.load(weights_only=True) of torch 2.13 takes a pickle that names
// this class or function: "collections.OrderedDict".
bool IsWeightsOnlyGlobal(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_
