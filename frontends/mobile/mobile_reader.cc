#include "frontends/mobile/mobile_reader.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/mobile/flat_table.h"
#include "frontends/mobile/mobile_module.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/place_state_dict.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<bool> IsMobileModule(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  uint8_t head[8] = {};
  if (source->size() < sizeof(head)) return false;
  MQ_RETURN_IF_ERROR(source->ReadAt(0, absl::MakeSpan(head)));
  return std::memcmp(head + 4, "PTMF", 4) == 0;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenMobileModule(
    const CheckpointFiles& files, const OpenOptions& options) {
  if (!options.root.empty() && options.root != ".") {
    return InvalidArgumentError(
        files.path, ": a mobile module has no dicts to choose ",
        QuotedName(options.root), " from; leave out --root");
  }
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  const std::string& file = source->name();
  PagedFile pages(source);
  absl::StatusOr<MobileModule> module = ReadMobileModule(&pages);
  if (!module.ok()) return Annotate(file, module.status());
  module->state_dict.as_stored = options.as_stored;

  CheckpointIndex index;
  index.container = "torch-mobile";
  index.path = files.path;
  const auto find = [&](absl::string_view key)
      -> absl::StatusOr<std::shared_ptr<const Storage>> {
    size_t number = 0;
    if (!absl::SimpleAtoi(key, &number) || number >= module->storages.size()) {
      return InternalError("storage ", QuotedName(key), " was overlooked");
    }
    const FlatVector& bytes = module->storages[number];
    return FileStorage::Create(source, files.main, std::string(key),
                               bytes.offset, bytes.size);
  };
  std::vector<PlacedTensor> placed;
  MQ_RETURN_IF_ERROR(PlaceStateDict(module->state_dict, file, find,
                                    /*big_endian=*/false, &index, &placed));
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
