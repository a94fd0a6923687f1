#include "cli/dequantize_command.h"

#include "cli/input_file.h"
#include "cli/transform.h"
#include "core/dequantizing_reader.h"
#include "core/plan.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant::cli {

absl::Status RunDequantize(const DequantizeArgs& args, Streams& streams) {
  MQ_ASSIGN_OR_RETURN(
      const Transform transform,
      BeginTransform("dequantize", "dequantizing", "float", args.transform));
  if (transform.file.reader->index().quant.empty()) {
    return FailedPreconditionError(
        transform.file.path,
        ": holds no quantized tensors, or reads as floats already; to change "
        "the container use 'monoquant convert'");
  }
  DequantizeOptions options;
  options.dtype = args.dtype;
  MQ_ASSIGN_OR_RETURN(const Input input, Dequantized(transform.file, options));
  MQ_ASSIGN_OR_RETURN(const Plan plan, MakeCopyPlan(input.reader->index()));
  return FinishTransform(transform, input, plan,
                         *transform.output.row->exporter, {}, args.transform,
                         streams);
}

}  // namespace monoquant::cli
