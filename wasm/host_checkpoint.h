// An open checkpoint: what an mq_open handle stands for.

#ifndef MONOQUANT_WASM_HOST_CHECKPOINT_H_
#define MONOQUANT_WASM_HOST_CHECKPOINT_H_

#include <memory>

#include "frontends/frontend.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// The reader, and what it was opened from: an output that is a directory has
// more of it than the tensors.
struct HostCheckpoint {
  CheckpointFiles files;
  OpenOptions options;
  std::shared_ptr<const CheckpointReader> reader;
  // The same with the floats that quantized weights stand for; made when a
  // survey asks for it.
  std::shared_ptr<const CheckpointReader> floats;
};

}  // namespace monoquant

#endif  // MONOQUANT_WASM_HOST_CHECKPOINT_H_
