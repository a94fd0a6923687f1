// What programs can do with a quantized weight beyond its storage: shapes,
// groups and names that they take. The only place that knows it: plans and
// verify ask here.

#ifndef MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_
#define MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "exporters/programs.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

// What becomes of a weight beyond a limit.
enum class Consequence : uint8_t {
  // It does not load, or loads as other numbers.
  kFails,
  // No kernel is known that takes it, or only a slower one.
  kSlower,
  // It loads, with scales that are rounded.
  kRounded,
};

struct ProgramLimit {
  // Program::name of those that have it.
  absl::Span<const absl::string_view> programs;
  // Weights in these storages, as readers find them.
  absl::Span<const QuantStorage> storages;
  Consequence consequence;
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

// The limits of a program that a weight is beyond, in the order of the rows. Of
// weights in engines' storages those of two dimensions have limits. The dtype
// of `weight` is that of the model where the reader knows it; no parts are
// looked at. One that is planned counts as what a reader will find
// (StorageRead).
std::vector<ExceededLimit> LimitsExceeded(const Program& program,
                                          const QuantizedTensor& weight);

// The storage that a reader finds a weight in which is written in `storage`:
// those of kCompressedTensors that are integers are in kPackQuantized or
// kIntQuantized, as the configuration calls them.
QuantStorage StorageRead(QuantStorage storage, const QuantScheme& scheme);

// What is wrong with experts that stay floats beside quantized weights.
struct FloatExpertLimit {
  absl::Span<const absl::string_view> programs;
  // Of the quantized weights.
  absl::Span<const QuantStorage> storages;
  // As of ProgramLimit.
  absl::string_view what;
  absl::string_view source;
  absl::string_view remedy;
};

// The limit that a program has for experts that stay floats, which are matrices
// (ExpertsOf); null if it loads them. `storage` is that of the quantized
// weights, `as_fp8` whether these are FP8: those of experts if there are any,
// otherwise those of the configuration's first group.
const FloatExpertLimit* FindFloatExpertLimit(const Program& program,
                                             QuantStorage storage, bool as_fp8);

// Whether a program loads experts of which all weights of one name, every
// P.experts.N.down_proj of a layer, are floats, and those of other names
// quantized. `storage` and `as_fp8` are as above.
bool LoadsFloatsAmongExperts(const Program& program, QuantStorage storage,
                             bool as_fp8);

// Whether Transformers divides activations of this "model_type" by scales that
// files of AWQ have for it, and monoquant's have not: without them the results
// are NaN.
bool NeedsActivationScales(absl::string_view model_type);

// Whether torch.load(weights_only=True) of torch 2.13 takes a pickle that names
// this class or function: "collections.OrderedDict".
bool IsWeightsOnlyGlobal(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_PROGRAM_LIMITS_H_
