#include "frontends/model_config.h"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kConfigFile = "config.json";
constexpr uint64_t kMaxConfigBytes = 16 << 20;

}  // namespace

absl::StatusOr<std::optional<ModelConfig>> ReadModelConfig(
    const CheckpointFiles& files, absl::string_view use) {
  if (std::find(files.names.begin(), files.names.end(), kConfigFile) ==
      files.names.end()) {
    return std::nullopt;
  }
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(kConfigFile));
  if (source->size() > kMaxConfigBytes) {
    return BadConfig(
        source->name(),
        absl::StrCat("larger than the limit of ", kMaxConfigBytes, " bytes"),
        use);
  }
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      ReadAll(*source, kMaxConfigBytes));
  absl::StatusOr<Json> json = ParseJson(text);
  if (!json.ok()) {
    return BadConfig(source->name(), json.status().message(), use);
  }
  ModelConfig config;
  config.name = source->name();
  config.json = *std::move(json);
  return config;
}

absl::Status BadConfig(absl::string_view name, absl::string_view what,
                       absl::string_view use) {
  return DataLossError(name, ": ", what, "; it ", use,
                       ": download or copy it again");
}

}  // namespace monoquant
