#include "core/column_groups.h"

#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Of those, the parameters of whole rows are held at a time.
constexpr uint64_t kMaxUnorderedGroups = 65536;

}  // namespace

absl::StatusOr<std::optional<ColumnGroups>> ReadColumnGroups(
    const CheckpointReader& reader, const StoredTensorPlace& place,
    uint64_t first, uint64_t count) {
  if (place.group_index == kNoTie) return std::nullopt;
  const uint64_t row = place.layout.row;
  const uint64_t last = first + count - 1;
  const bool one_row = first / row == last / row;
  ColumnGroups columns;
  columns.first = one_row ? first % row : 0;
  columns.groups.resize(static_cast<size_t>(one_row ? count : row));
  MQ_RETURN_IF_ERROR(reader.Read(
      place.group_index, columns.first, columns.groups.size(),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(columns.groups.data()),
                     columns.groups.size() * sizeof(uint32_t))));
  const uint64_t groups = row / place.layout.segment;
  const auto where = [&] {
    const CheckpointIndex& index = reader.index();
    return absl::StrCat(index.path, ": tensor ",
                        QuotedName(index.tensors[place.group_index].name),
                        ": ");
  };
  bool ordered = true;
  for (size_t i = 0; i < columns.groups.size(); ++i) {
    const uint32_t group = columns.groups[i];
    const uint64_t column = columns.first + i;
    if (group >= groups) {
      return DataLossError(where(), "column ", column, " is in group ",
                           static_cast<int32_t>(group), ", but there are ",
                           groups,
                           " groups; download or copy the checkpoint again");
    }
    ordered = ordered && group == column / place.layout.segment;
  }
  if (ordered) return std::nullopt;
  if (groups > kMaxUnorderedGroups) {
    return UnimplementedError(
        where(), "the columns of ", groups,
        " groups are in another order, which is read for no more than ",
        kMaxUnorderedGroups,
        " groups; dequantize it with the program that "
        "wrote it");
  }
  return columns;
}

SlotRange SlotsOfRows(const ParamLayout& layout, uint64_t first,
                      uint64_t count) {
  const uint64_t groups = layout.row / layout.segment;
  const uint64_t row = first / layout.row;
  const uint64_t last_row = (first + count - 1) / layout.row;
  return {row * groups, (last_row - row + 1) * groups};
}

}  // namespace monoquant
