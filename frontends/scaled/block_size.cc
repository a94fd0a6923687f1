#include "frontends/scaled/block_size.h"

#include <optional>

#include "absl/strings/string_view.h"
#include "frontends/model_config.h"
#include "ir/json.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<std::vector<int64_t>> ConfiguredBlockSize(
    const CheckpointFiles& files) {
  constexpr absl::string_view kUse = "has the block size of the FP8 weights";
  std::vector<int64_t> block;
  MQ_ASSIGN_OR_RETURN(const std::optional<ModelConfig> config,
                      ReadModelConfig(files, kUse));
  if (!config.has_value()) return block;
  const Json* quantization = config->quantization();
  const Json* sizes = quantization == nullptr
                          ? nullptr
                          : quantization->Find("weight_block_size");
  if (sizes == nullptr || sizes->is_null()) return block;
  if (!sizes->is_array() || sizes->AsArray()->empty()) {
    return BadConfig(config->name, "weight_block_size is no list", kUse);
  }
  for (const Json& size : *sizes->AsArray()) {
    const int64_t* value = size.AsInt();
    if (value == nullptr || *value <= 0) {
      return BadConfig(config->name,
                       "weight_block_size is no list of positive numbers",
                       kUse);
    }
    block.push_back(*value);
  }
  return block;
}

}  // namespace monoquant
