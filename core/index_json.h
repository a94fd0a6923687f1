// An open checkpoint as a document: docs/schemas/inspect.json.

#ifndef MONOQUANT_CORE_INDEX_JSON_H_
#define MONOQUANT_CORE_INDEX_JSON_H_

#include <cstddef>

#include "core/layer_kind.h"
#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant {

// One tensor of the document; `kind` is its entry of FindLayerKinds(index).
Json TensorToJson(const CheckpointIndex& index, size_t tensor, LayerKind kind);

// The document without its tensors, for those who show some of them only.
Json IndexToJson(const CheckpointIndex& index, Json tensors);

// The document with all tensors.
Json IndexToJson(const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_INDEX_JSON_H_
