// Reads codes and parameters of quantized tensors, however they are stored.

#ifndef MONOQUANT_CORE_STORED_TENSOR_H_
#define MONOQUANT_CORE_STORED_TENSOR_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "core/code_rows.h"
#include "core/level_grid.h"
#include "core/param_runs.h"
#include "ir/checkpoint.h"
#include "ir/quant_record.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"

namespace monoquant {

// Where that lies what scales are made of, if they are codes themselves
// (QuantStorage::kBitsandbytesNested): tensors of the checkpoint, of which
// kNoTie stands for none.
struct NestedScalesPlace {
  size_t scales = kNoTie;
  size_t codebook = kNoTie;
  size_t quant_state = kNoTie;  // has the offset
};

// Where a quantized tensor lies in a checkpoint.
struct StoredTensorPlace {
  QuantScheme scheme;
  ParamLayout layout;
  CodePacking packing;
  // Tensors of the checkpoint; kNoTie where the format has none.
  size_t codes = kNoTie;
  size_t scale = kNoTie;
  size_t zero_point = kNoTie;
  size_t global_scale = kNoTie;
  // Of the group of each column (ConstantKind::kGroupIndex).
  size_t group_index = kNoTie;
  NestedScalesPlace nested;
};

// The tensors of a checkpoint by name.
using IndexByName = absl::flat_hash_map<absl::string_view, size_t>;

// Where `tensor` of a valid record lies (ValidateQuantRecord).
absl::StatusOr<StoredTensorPlace> PlaceOf(const QuantizedTensor& tensor,
                                          const IndexByName& by_name);

// The codes of elements [first, first + count), which are not none, packed row
// by row: `bytes` begins with the byte rows.ByteOf(first) and may have more
// than it needs. `rows` is that of the place's scheme, layout and packing.
// DataLoss for a byte that is no code of 4 bits, where each has its own.
absl::Status ReadStoredCodes(const CheckpointReader& reader,
                             const StoredTensorPlace& place,
                             const CodeRows& rows, uint64_t first,
                             uint64_t count, std::vector<uint8_t>* bytes);

// A part of a matrix of rows of ParamLayout::row elements: none of it is empty.
struct CodeBlock {
  uint64_t first_row = 0;
  uint64_t rows = 0;
  uint64_t first_column = 0;
  uint64_t columns = 0;
};

// The levels of a block of a format with scales, one row after the other.
// `rows` is that of the place. Takes memory for the block and for what fills up
// the words that it is stored in.
absl::Status ReadStoredLevels(const CheckpointReader& reader,
                              const StoredTensorPlace& place,
                              const CodeRows& rows, const CodeBlock& block,
                              std::vector<uint8_t>* levels);

// The parameters of a range of slots of a format with scales. Takes memory for
// so many slots, and for those of eight rows more where they are packed.
// DataLoss if scales are nested and their offset is no number.
absl::Status ReadStoredParams(const CheckpointReader& reader,
                              const StoredTensorPlace& place,
                              const SlotRange& slots,
                              std::vector<QParams>* params);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_STORED_TENSOR_H_
