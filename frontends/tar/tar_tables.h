// The two tables of a checkpoint of the tar era, in the members "storages" and
// "tensors":
//
//   storages  pickle(count), then for each
//               pickle((key, location, class)), i64 numel, the elements
//             pickle([(view key, key, offset, numel), ...])
//   tensors   pickle(count), then for each
//               pickle((key, storage or view key, class)), i32 ndim, 4 bytes,
//               ndim i64 sizes, ndim i64 strides, i64 offset
//
// Numbers are little-endian, offsets and strides in elements.

#ifndef MONOQUANT_FRONTENDS_TAR_TAR_TABLES_H_
#define MONOQUANT_FRONTENDS_TAR_TAR_TABLES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "frontends/frontend.h"
#include "frontends/torch/rebuild.h"
#include "ir/byte_source.h"
#include "ir/dtype.h"

namespace monoquant {

// Of storages and views together, and of tensors.
inline constexpr size_t kMaxTarRows = 250'000;

// A storage, or a view of one.
struct TarStorage {
  DType dtype = DType::kU8;
  // The storage whose bytes these are.
  std::string key;
  // Where it lies in the member: those of the view, if it is one.
  uint64_t offset = 0;
  uint64_t bytes = 0;
  // Where the view begins in its storage.
  std::optional<uint64_t> part_offset;
};

using TarStorages = absl::flat_hash_map<std::string, TarStorage>;
using TarTensors = absl::flat_hash_map<std::string, TorchTensor>;

// Read the tables from their members. DataLoss, naming `member`, if anything
// is not as above: a key that occurs twice, a view beyond its storage, bytes
// that are missing or left over.
absl::StatusOr<TarStorages> ReadTarStorages(const ByteSource& member,
                                            const OpenOptions& options);
absl::StatusOr<TarTensors> ReadTarTensors(const ByteSource& member,
                                          const TarStorages& storages,
                                          const OpenOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TAR_TAR_TABLES_H_
