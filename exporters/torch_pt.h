// The zip archive that torch.save writes: a state dict of plain tensors, which
// stock torch.load(weights_only=True) reads, memory-mapped or not.
//
//   archive/data.pkl              an OrderedDict: name -> tensor of storage k
//   archive/.format_version       "1"
//   archive/.storage_alignment    "64"
//   archive/byteorder             "little"
//   archive/monoquant.json        the quantization record, if there is one
//   archive/data/0, data/1, ...   the bytes of storage k; tied tensors share it
//   archive/version               "3\n"
//   archive/.data/serialization_id  40 digits that follow from the contents
//
// The root is always "archive", so that the bytes do not depend on the output's
// name. The record lies beside the state dict, not inside: people iterate over
// a state dict and expect tensors. Text metadata is not carried over: the
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
