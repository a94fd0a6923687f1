// The storages of a legacy stream:
//
//   pickle  0x1950A86A20F9469CFC6C
//   pickle  1001, the version
//   pickle  {'little_endian': True, ...}, which nobody heeds: all is
//           little-endian
//   pickle  the object; its persistent ids name storages by keys
//   pickle  [key, ...]
//   then in the order of the list, for every key:
//     i64   number of elements
//     ...   the elements, of the type that the object's pickle gives them

#ifndef MONOQUANT_FRONTENDS_LEGACY_LEGACY_STORAGES_H_
#define MONOQUANT_FRONTENDS_LEGACY_LEGACY_STORAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "frontends/pickle/pickle_graph.h"
#include "ir/byte_source.h"

namespace monoquant {

inline constexpr size_t kMaxLegacyStorages = 500'000;

struct LegacyStorage {
  uint64_t bytes = 0;
  uint64_t item_size = 1;
  // Where its elements begin; 0 until the list of keys has named it.
  uint64_t offset = 0;
};

using LegacyStorages = absl::flat_hash_map<std::string, LegacyStorage>;

// The storages to which the object's pickle refers, each with its size; those
// of tensors that are of no interest too, since the data of all others lies
// behind theirs. DataLoss if it gives one two sizes. Errors do not name the
// file.
absl::StatusOr<LegacyStorages> FindLegacyStorages(const PickleGraph& object);

// The keys in the list. DataLoss, without the file's name, unless these are
// those of `storages`, each once.
absl::StatusOr<std::vector<std::string>> ReadLegacyKeys(
    const PickleGraph& list, const LegacyStorages& storages);

// Finds the elements of all `storages`, which lie from `offset` on in the order
// of `keys`. Returns where the last of them ends. DataLoss, naming file and
// storage, if the file has another number of elements than the pickle, or ends
// before them.
absl::StatusOr<uint64_t> LocateLegacyStorages(
    const ByteSource& source, uint64_t offset,
    const std::vector<std::string>& keys, LegacyStorages* storages);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_LEGACY_LEGACY_STORAGES_H_
