#include "wasm/planned_files.h"

#include <algorithm>
#include <utility>

#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr char kConfigName[] = "config.json";

PlannedFile TextOf(const std::string& name, const std::string& text) {
  return {name, text.size(), std::make_shared<MemorySource>(name, text),
          /*copied=*/false};
}

}  // namespace

absl::StatusOr<std::vector<PlannedFile>> ListFiles(
    const OutputPlan& plan, const CheckpointFiles& input) {
  std::vector<PlannedFile> files;
  for (const WeightFile& file : plan.files) {
    files.push_back({file.name, file.layout.file_size, /*content=*/nullptr,
                     /*copied=*/false});
  }
  for (const std::string& name : plan.side_files) {
    MQ_ASSIGN_OR_RETURN(std::shared_ptr<ByteSource> source, input.open(name));
    const uint64_t bytes = source->size();
    files.push_back({name, bytes, std::move(source), /*copied=*/true});
  }
  if (!plan.index_name.empty()) {
    files.push_back(TextOf(plan.index_name, plan.index_text));
  }
  for (const TextFile& file : plan.made_files) {
    files.push_back(TextOf(file.name, file.text));
  }
  std::stable_partition(
      files.begin(), files.end(),
      [](const PlannedFile& file) { return file.name != kConfigName; });
  return files;
}

}  // namespace monoquant
