// Which tensors of an output can stay where they are.

#ifndef MONOQUANT_EXPORTERS_MQIR_LINKS_H_
#define MONOQUANT_EXPORTERS_MQIR_LINKS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "core/plan.h"
#include "ir/byte_source.h"
#include "ir/checkpoint.h"
#include "ir/mqir_writer.h"

namespace monoquant {

// For MakeLinkingMqirExporter: the tensors of `plan` that it copies and that
// lie in one of `files` as they are. `reader` is the checkpoint that was opened
// from `files`. The .mqir file has to be written beside them.
absl::StatusOr<std::vector<MqirLink>> FindLinks(const CheckpointFiles& files,
                                                const CheckpointReader& reader,
                                                const Plan& plan);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_MQIR_LINKS_H_
