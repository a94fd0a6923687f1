#include "exporters/mqir_links.h"

#include <cstdint>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<std::vector<MqirLink>> FindLinks(const CheckpointFiles& files,
                                                const CheckpointReader& reader,
                                                const Plan& plan) {
  std::vector<MqirLink> links;
  absl::flat_hash_map<std::string, uint64_t> sizes;
  for (const TensorPlan& tensor : plan.tensors) {
    if (tensor.action != Action::kCopy) continue;
    const std::optional<FileExtent> extent = reader.Locate(tensor.input);
    if (!extent.has_value() || extent->size == 0) continue;
    auto it = sizes.find(extent->file);
    if (it == sizes.end()) {
      MQ_ASSIGN_OR_RETURN(const auto source, files.open(extent->file));
      it = sizes.emplace(extent->file, source->size()).first;
    }
    links.push_back({.tensor = tensor.output,
                     .file = extent->file,
                     .file_size = it->second,
                     .offset = extent->offset,
                     .container = reader.index().container});
  }
  return links;
}

}  // namespace monoquant
