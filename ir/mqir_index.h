// The index of a .mqir file as plain structs, to and from its FlatBuffer.
// Internal to the reader and the writer.

#ifndef MONOQUANT_IR_MQIR_INDEX_H_
#define MONOQUANT_IR_MQIR_INDEX_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/checkpoint.h"
#include "ir/mqir_format.h"

namespace monoquant {

// Where bytes lie, and what their checksum is.
struct MqirExtent {
  uint64_t offset = 0;
  uint64_t size = 0;
  uint32_t crc32 = 0;
  uint32_t source = 0;  // 0: the .mqir file; n: sources[n - 1]
};

// Another file with payload, beside the .mqir file.
struct MqirSource {
  std::string file;
  uint64_t size = 0;
  std::string container;
};

struct MqirIndex {
  // Its path and notes are not part of the file.
  CheckpointIndex checkpoint;
  // The extent of each tensor. Tied tensors, and no others, share one.
  std::vector<uint32_t> tensor_extents;
  std::vector<MqirExtent> extents;
  std::vector<MqirSource> sources;
};

// The FlatBuffer of `index`, which the caller has checked. The size does not
// depend on what the extents say. Empty if it would exceed kMaxMqirIndexSize.
std::vector<uint8_t> EncodeMqirIndex(const MqirIndex& index);

// Reads and checks everything that an index can get wrong, in one place:
// the FlatBuffer's own structure, texts, enums, the tensors as ValidateIndex
// does, and that all extents lie inside their files, aligned and apart. `path`
// is what messages call the file; `bytes` must be aligned to 8 in memory, or
// they are refused.
// DataLoss or, for what only a newer version can have written, Unimplemented.
absl::StatusOr<MqirIndex> DecodeMqirIndex(absl::Span<const uint8_t> bytes,
                                          const MqirHeader& header,
                                          absl::string_view path);

// True for a name that cannot leave its directory: no separators, no drive, not
// "." or "..".
bool IsBareFileName(absl::string_view name);

}  // namespace monoquant

#endif  // MONOQUANT_IR_MQIR_INDEX_H_
