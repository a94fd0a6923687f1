// Reads .mqir files (docs/ir_format.md).

#ifndef MONOQUANT_IR_MQIR_READER_H_
#define MONOQUANT_IR_MQIR_READER_H_

#include <memory>

#include "absl/status/statusor.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"

namespace monoquant {

// True if the main file begins like a .mqir file. An error only where it cannot
// be read.
absl::StatusOr<bool> IsMqir(const CheckpointFiles& files);

// Opens the main file: reads and verifies the header and the index, and opens
// the files that linked tensors lie in, which must be among `files` and have
// the size that the index states.
//
// The checksum of a tensor is verified when the tensor is first read, in full
// even if only a part is asked for; this takes little memory and is done once.
//
// DataLoss naming file and tensor for damage, Unimplemented for a file from the
// future, NotFound for a linked file that is missing.
absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMqir(
    const CheckpointFiles& files);

}  // namespace monoquant

#endif  // MONOQUANT_IR_MQIR_READER_H_
