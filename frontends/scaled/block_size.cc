#include "frontends/scaled/block_size.h"

#include <algorithm>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/json.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kConfigFile = "config.json";
constexpr uint64_t kMaxConfigBytes = 16 << 20;

}  // namespace

absl::StatusOr<std::vector<int64_t>> ConfiguredBlockSize(
    const CheckpointFiles& files) {
  std::vector<int64_t> block;
  if (std::find(files.names.begin(), files.names.end(), kConfigFile) ==
      files.names.end()) {
    return block;
  }
  MQ_ASSIGN_OR_RETURN(const std::shared_ptr<ByteSource> source,
                      files.open(kConfigFile));
  const auto refuse = [&](absl::string_view what) {
    return absl::DataLossError(absl::StrCat(
        source->name(), ": ", what,
        "; it has the block size of the FP8 weights: download or copy it "
        "again"));
  };
  if (source->size() > kMaxConfigBytes) {
    return refuse(
        absl::StrCat("larger than the limit of ", kMaxConfigBytes, " bytes"));
  }
  MQ_ASSIGN_OR_RETURN(const std::string text,
                      ReadAll(*source, kMaxConfigBytes));
  const absl::StatusOr<Json> config = ParseJson(text);
  if (!config.ok()) return refuse(config.status().message());
  const Json* quantization = config->Find("quantization_config");
  const Json* sizes = quantization == nullptr
                          ? nullptr
                          : quantization->Find("weight_block_size");
  if (sizes == nullptr || sizes->is_null()) return block;
  if (!sizes->is_array() || sizes->AsArray()->empty()) {
    return refuse("weight_block_size is no list");
  }
  for (const Json& size : *sizes->AsArray()) {
    const int64_t* value = size.AsInt();
    if (value == nullptr || *value <= 0) {
      return refuse("weight_block_size is no list of positive numbers");
    }
    block.push_back(*value);
  }
  return block;
}

}  // namespace monoquant
