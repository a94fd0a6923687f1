// The archive that torch.save writes (torch_archive.h) of a state dict of plain
// tensors: an OrderedDict, name -> tensor of storage k. Stock
// torch.load(weights_only=True) reads it, memory-mapped or not.
//
// The record lies beside the state dict, not inside: people iterate over a
// state dict and expect tensors. Text metadata is not carried over: the
// container has no place for it.

#ifndef MONOQUANT_EXPORTERS_TORCH_PT_H_
#define MONOQUANT_EXPORTERS_TORCH_PT_H_

#include "exporters/exporter.h"

namespace monoquant {

// Layout refuses, with FailedPrecondition, the types that torch does not have:
// F6_E2M3, F6_E3M2, and F4 where its last dimension is odd. torch's own
// quantized types are written as plain integers (plain_codes.h).
const Exporter& TorchPtExporter();

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_TORCH_PT_H_
