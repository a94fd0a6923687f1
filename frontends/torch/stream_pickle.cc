#include "frontends/torch/stream_pickle.h"

#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/pickle/pickle_machine.h"
#include "frontends/torch/place_state_dict.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr uint64_t kFirstWindow = 4 << 10;
constexpr uint64_t kGrowth = 4;

}  // namespace

absl::StatusOr<PickleGraph> ReadPickleAt(const ByteSource& source,
                                         uint64_t offset,
                                         absl::string_view what,
                                         const OpenOptions& options) {
  const std::string part =
      absl::StrCat(what, " (the pickle at byte ", offset, ")");
  const uint64_t rest = source.size() - std::min(offset, source.size());
  const uint64_t limit = PickleLimits().bytes;
  for (uint64_t window = kFirstWindow;; window *= kGrowth) {
    const uint64_t size = std::min({window, rest, limit});
    std::string bytes(static_cast<size_t>(size), '\0');
    MQ_RETURN_IF_ERROR(
        source.ReadAt(std::min(offset, source.size()),
                      absl::MakeSpan(reinterpret_cast<uint8_t*>(bytes.data()),
                                     bytes.size())));
    absl::StatusOr<PickleGraph> graph =
        ReadCheckpointPickle(std::move(bytes), source.name(), part, options);
    if (graph.ok() || !IsTruncatedPickle(graph.status())) return graph;
    if (size == rest) {
      return DataLossError(source.name(), " is truncated: ", part,
                           " goes on beyond its end at byte ", source.size(),
                           "; download or copy it again");
    }
    if (size == limit) {
      return DataLossError(source.name(), ": ", part,
                           ": its size exceeds the limit of ", limit);
    }
  }
}

}  // namespace monoquant
