#include "frontends/numpy/numpy_reader.h"

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
#include "frontends/pickle/pickle_graph.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/tensors/placed_reader.h"
#include "frontends/tensors/placed_tensor.h"
#include "frontends/tensors/storage.h"
#include "frontends/torch/place_state_dict.h"
#include "frontends/torch/state_dict.h"
#include "frontends/torch/stream_pickle.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// How much of a pickle without a mark is tried.
constexpr uint64_t kTryBytes = 16 << 10;

absl::StatusOr<std::string> ReadHead(const ByteSource& source) {
  std::string head(
      static_cast<size_t>(std::min<uint64_t>(kTryBytes, source.size())), '\0');
  MQ_RETURN_IF_ERROR(source.ReadAt(
      0, absl::MakeSpan(reinterpret_cast<uint8_t*>(head.data()), head.size())));
  return head;
}

bool HasProtocolMark(absl::string_view head) {
  return head.size() > 2 && head[0] == '\x80' && head[1] >= 2 && head[1] <= 5;
}

// Protocols 0 and 1 begin with whatever the object begins with: the mark of a
// dict, list or tuple, an empty one, or a class. The machine refuses almost
// every text soon; what passes must be long or end as a pickle does.
bool RunsAsPickle(const std::string& head, bool is_all) {
  if (head.empty() || absl::string_view("(c})]").find(head[0]) == head.npos) {
    return false;
  }
  const auto graph = ReadPickle(head, PickleLimits(), OpaqueCalls::kAllow);
  if (graph.ok()) return true;
  return !is_all && IsTruncatedPickle(graph.status());
}

// joblib puts the bytes of its arrays between the instructions.
absl::Status JoblibError(const std::string& file) {
  return UnimplementedError(
      file,
      ": this file was written by joblib, which is not read; load it in Python "
      "and save its arrays as tensors in torch or safetensors");
}

bool HasPersistentIds(const PickleGraph& graph) {
  for (NodeId node = 0; node < graph.size(); ++node) {
    if (graph.kind(node) == NodeKind::kPersistentId) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<bool> IsBarePickle(const CheckpointFiles& files) {
  if (files.is_directory) return false;
  MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(*source));
  return HasProtocolMark(head) ||
         RunsAsPickle(head, /*is_all=*/head.size() == source->size());
}

absl::StatusOr<std::unique_ptr<CheckpointReader>> OpenBarePickle(
    const CheckpointFiles& files, const OpenOptions& options) {
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(files.main));
  const std::string& file = source->name();
  MQ_ASSIGN_OR_RETURN(const std::string head, ReadHead(*source));
  if (absl::StrContains(head, "joblib.numpy_pickle")) return JoblibError(file);
  MQ_ASSIGN_OR_RETURN(PickleGraph graph,
                      ReadPickleAt(*source, 0, "the object", options));
  if (HasPersistentIds(graph)) {
    return UnimplementedError(
        file,
        ": this file is the pickle of a container without the container: its "
        "tensors are elsewhere; name the file that it was taken from, or pack "
        "it again with what lay beside it");
  }
  CheckpointIndex index;
  index.container = "pickle";
  index.path = files.path;
  if (graph.consumed() < source->size()) {
    index.notes.push_back(absl::StrCat("bytes after the end of the pickle: ",
                                       source->size() - graph.consumed()));
  }
  MQ_ASSIGN_OR_RETURN(const StateDict state_dict,
                      FindWeights(std::move(graph), file, options));
  if (state_dict.tensors.empty()) {
    return UnimplementedError(
        file,
        ": this file is a bare pickle without NumPy arrays of numbers; name "
        "the file that has the weights, or save them with torch.save");
  }
  const auto find =
      [](absl::string_view) -> absl::StatusOr<std::shared_ptr<const Storage>> {
    return DataLossError("a bare pickle has no storages");
  };
  std::vector<PlacedTensor> placed;
  MQ_RETURN_IF_ERROR(PlaceStateDict(state_dict, file, find,
                                    /*big_endian=*/false, &index, &placed));
  return MakePlacedReader(std::move(index), std::move(placed));
}

}  // namespace monoquant
