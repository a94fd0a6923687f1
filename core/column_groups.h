// Which group each column of a quantized matrix belongs to, where a tensor says
// so: g_idx of GPTQ.
//
// Usually a group is a run of columns, as the scheme has it. With "act order"
// the columns were quantized by importance, and those of a group lie anywhere.

#ifndef MONOQUANT_CORE_COLUMN_GROUPS_H_
#define MONOQUANT_CORE_COLUMN_GROUPS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "core/param_runs.h"
#include "core/stored_tensor.h"
#include "ir/checkpoint.h"
#include "ir/quant_scheme.h"

namespace monoquant {

// Those of columns from `first` on.
struct ColumnGroups {
  uint64_t first = 0;
  std::vector<uint32_t> groups;

  uint64_t GroupOf(uint64_t column) const {
    return groups[static_cast<size_t>(column - first)];
  }
};

// Those of the columns that elements [first, first + count) lie in, which are
// not none. Nullopt if every one of them is where the scheme has it, or if the
// place has no index.
//
// DataLoss, naming tensor and column, for a group that does not exist.
// Unimplemented if columns of more than 65,536 groups are in another order.
absl::StatusOr<std::optional<ColumnGroups>> ReadColumnGroups(
    const CheckpointReader& reader, const StoredTensorPlace& place,
    uint64_t first, uint64_t count);

// The slots of all groups of the rows that these elements lie in.
SlotRange SlotsOfRows(const ParamLayout& layout, uint64_t first,
                      uint64_t count);

}  // namespace monoquant

#endif  // MONOQUANT_CORE_COLUMN_GROUPS_H_
