// monoquant dequantize

#ifndef MONOQUANT_CLI_DEQUANTIZE_COMMAND_H_
#define MONOQUANT_CLI_DEQUANTIZE_COMMAND_H_

#include <optional>

#include "absl/status/status.h"
#include "cli/args.h"
#include "cli/streams.h"
#include "ir/dtype.h"

namespace monoquant::cli {

struct DequantizeArgs {
  TransformArgs transform;
  std::optional<DType> dtype;  // absent: what each tensor was before
};

// Writes the floats that a quantized checkpoint stands for. FailedPrecondition
// if the input is not quantized.
absl::Status RunDequantize(const DequantizeArgs& args, Streams& streams);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_DEQUANTIZE_COMMAND_H_
