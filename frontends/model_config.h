// The config.json of a model directory, as far as weights depend on it.

#ifndef MONOQUANT_FRONTENDS_MODEL_CONFIG_H_
#define MONOQUANT_FRONTENDS_MODEL_CONFIG_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "ir/byte_source.h"
#include "ir/json.h"

namespace monoquant {

struct ModelConfig {
  std::string name;  // of the file, for messages
  Json json;

  // Its entry "quantization_config"; nullptr if there is none.
  const Json* quantization() const { return json.Find("quantization_config"); }
};

// The config.json among `files`; nullopt if there is none. DataLoss as of
// BadConfig if it is larger than 16 MiB or no JSON.
absl::StatusOr<std::optional<ModelConfig>> ReadModelConfig(
    const CheckpointFiles& files, absl::string_view use);

// DataLoss: "NAME: WHAT; it USE: download or copy it again".
absl::Status BadConfig(absl::string_view name, absl::string_view what,
                       absl::string_view use);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_MODEL_CONFIG_H_
