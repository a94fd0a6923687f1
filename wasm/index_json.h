// An open checkpoint as a document: docs/schemas/inspect.json.

#ifndef MONOQUANT_WASM_INDEX_JSON_H_
#define MONOQUANT_WASM_INDEX_JSON_H_

#include "ir/checkpoint.h"
#include "ir/json.h"

namespace monoquant {

Json IndexToJson(const CheckpointIndex& index);

}  // namespace monoquant

#endif  // MONOQUANT_WASM_INDEX_JSON_H_
