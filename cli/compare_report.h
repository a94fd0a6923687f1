// A comparison as text and as a document.

#ifndef MONOQUANT_CLI_COMPARE_REPORT_H_
#define MONOQUANT_CLI_COMPARE_REPORT_H_

#include <cstdint>
#include <string>

#include "cli/compare_checkpoints.h"
#include "cli/input_file.h"
#include "cli/quality.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant::cli {

// The original and the other: both files as they are, both as floats, and what
// came of it.
struct Comparison {
  Input files[2];
  Input inputs[2];
  CheckpointComparison result;
  Quality quality;  // of the float tensors

  const TensorInfo& original(const TensorPair& pair) const {
    return inputs[0].reader->index().tensors[pair.original];
  }
  const TensorInfo& other(const TensorPair& pair) const {
    return inputs[1].reader->index().tensors[pair.other];
  }
};

struct CompareGate {
  double fail_under = 0;
  bool passed = false;
};

// "F32 [3, 4]".
std::string DescribeTensor(const TensorInfo& info);

// A table of the `top` worst tensors (0: all), then the summary.
std::string ComparisonToText(const Comparison& comparison, int64_t top);

// The document of docs/schemas/compare.json. `gate` may be null.
Json ComparisonToJson(const Comparison& comparison, int64_t top,
                      const CompareGate* gate);

}  // namespace monoquant::cli

#endif  // MONOQUANT_CLI_COMPARE_REPORT_H_
