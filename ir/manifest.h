// What an output file will contain, settled before the first byte is written.
// core makes it, exporters lay it out.

#ifndef MONOQUANT_IR_MANIFEST_H_
#define MONOQUANT_IR_MANIFEST_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "ir/checkpoint.h"
#include "ir/dtype.h"
#include "ir/quant_record.h"
#include "ir/shape.h"

namespace monoquant {

// One tensor to be written: a copied weight, codes, scales or zero points.
struct OutputTensor {
  std::string name;
  DType dtype = DType::kF32;
  Shape shape;
  uint64_t byte_size = 0;
  // As in TensorInfo: an earlier output tensor whose bytes this one shares.
  // Such a tensor is never written to.
  size_t tie = kNoTie;
  // As in TensorInfo; kept by formats that have a place for it.
  std::string module_kind;
};

struct Manifest {
  // Codes come first, then their scale and zero point, in the input's order.
  std::vector<OutputTensor> tensors;
  // Empty (record.empty()) for a plain float checkpoint; otherwise it names its
  // writer (CheckHasWriter).
  QuantRecord record;
  // Text metadata to carry over, ordered by key.
  std::vector<std::pair<std::string, std::string>> metadata;
};

}  // namespace monoquant

#endif  // MONOQUANT_IR_MANIFEST_H_
