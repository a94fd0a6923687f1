// From a scheme as a user states it to the complete one for a tensor.

#ifndef MONOQUANT_CORE_RESOLVE_SCHEME_H_
#define MONOQUANT_CORE_RESOLVE_SCHEME_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "core/recipe.h"
#include "ir/quant_scheme.h"

namespace monoquant {

struct ResolvedScheme {
  QuantScheme scheme;
  // What the user may want to know about the choice, in words; often empty.
  std::string note;
};

// FailedPrecondition if the scheme cannot be had for `shape`, which has
// elements: a group size that does not divide the row (with those that would),
// an axis out of range. The caller adds the tensor's name. Where the spec
// leaves the type of scales open it is `scale_dtype`, and the axis is
// `output_axis`, that of the output channels; it is a dimension of the shape if
// that has two and more. llm_int8 has axis 0 in any case.
absl::StatusOr<ResolvedScheme> ResolveScheme(const SchemeSpec& spec,
                                             absl::Span<const int64_t> shape,
                                             DType scale_dtype = DType::kF32,
                                             int output_axis = 0);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_RESOLVE_SCHEME_H_
