#include "frontends/legacy/legacy_reader.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "frontends/legacy/legacy_storages.h"
#include "frontends/pickle/pickle_graph.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/place_state_dict.h"
#include "frontends/torch/quantized_modules.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/stream_pickle.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr int64_t kVersion = 1001;

// The magic number as protocols 0 and 1 write it, and as later ones do, behind
// their header: the two bytes of PROTO, since protocol 4 followed by FRAME.
constexpr absl::string_view kMagicText = "L119547037146038801333356L\n.";
constexpr absl::string_view kMagicBinary =
    "\x8A\x0A\x6C\xFC\x9C\x46\xF9\x20\x6A\xA8\x50\x19.";
constexpr size_t kProtoSize = 2;
constexpr size_t kFrameSize = 9;

// Enough for any of them.
constexpr size_t kHeadBytes = 32;

// How many bytes the magic number takes; 0 if there is none.
size_t MagicSize(absl::string_view head) {
  if (absl::StartsWith(head, kMagicText)) return kMagicText.size();
  if (head.size() < kProtoSize || head[0] != '\x80' || head[1] < 2 ||
      head[1] > 5) {
    return 0;
  }
  size_t start = kProtoSize;
  if (head.size() > start && head[start] == '\x95') start += kFrameSize;
  if (head.size() < start ||
      !absl::StartsWith(head.substr(start), kMagicBinary)) {
    return 0;
  }
  return start + kMagicBinary.size();
}

absl::StatusOr<std::string> ReadHead(const ByteSource& source) {
  std::string head(
      static_cast<size_t>(std::min<uint64_t>(kHeadBytes, source.size())), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return head;
}

// The pickles in front of the object. Returns where that begins.
absl::StatusOr<uint64_t> SkipPreamble(const ByteSource& source,
                                      const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(source));
  uint64_t offset = MagicSize(head);
  MQ_ASSIGN_OR_RETURN(const PickleGraph version,
                      ReadPickleAt(source, offset, "the version", options));
  if (version.AsInt(version.root()) != kVersion) {
    return UnimplementedError(
        source.name(),
        ": this is a legacy torch stream of a version other "
        "than ",
        kVersion, ", which no torch wrote");
  }
  offset += version.consumed();
  MQ_ASSIGN_OR_RETURN(
      const PickleGraph machine,
      ReadPickleAt(source, offset, "the description of the machine", options));
  return offset + machine.consumed();
}

}  // namespace

absl::StatusOr<bool> IsLegacyStream(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(*source));
  return MagicSize(head) > 0;
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenLegacyStream(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  const std::string& file = source->name();
  MQ_ASSIGN_OR_RETURN(uint64_t offset, SkipPreamble(*source, options));
  MQ_ASSIGN_OR_RETURN(PickleGraph object,
                      ReadPickleAt(*source, offset, "the object", options));
  offset += object.consumed();
  absl::StatusOr<LegacyStorages> storages = FindLegacyStorages(object);
  // What is wrong with a tensor's storage is said of the tensor, if it can be.
  MQ_ASSIGN_OR_RETURN(StateDict state_dict,
                      FindWeights(std::move(object), file, options));
  if (!options.as_stored) NameQuantizedModules(&state_dict);
  if (!storages.ok()) return Annotate(file, storages.status());

  MQ_ASSIGN_OR_RETURN(
      const PickleGraph list,
      ReadPickleAt(*source, offset, "the list of storages", options));
  const auto keys = ReadLegacyKeys(list, *storages);
  if (!keys.ok()) return Annotate(file, keys.status());
  MQ_ASSIGN_OR_RETURN(const uint64_t end,
                      LocateLegacyStorages(*source, offset + list.consumed(),
                                           *keys, &*storages));

  CheckpointIndex index;
  index.container = "torch-legacy";
  index.path = files.path;
  if (end < source->size()) {
    index.notes.push_back(
        absl::StrCat("bytes after the last storage: ", source->size() - end));
  }
  const auto find = [&](absl::string_view key)
      -> absl::StatusOr<std::shared_ptr<const Storage>> {
    const auto storage = storages->find(key);
    if (storage == storages->end()) {
      return InternalError("storage ", QuotedName(key), " was overlooked");
    }
    return FileStorage::Create(source, files.main, std::string(key),
                               storage->second.offset, storage->second.bytes);
  };
  std::vector<PlacedTensor> placed;
  MQ_RETURN_IF_ERROR(PlaceStateDict(state_dict, file, find,
                                    /*big_endian=*/false, &index, &placed));
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
