#include "wasm/planned_output.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "core/dequantizing_reader.h"
#include "core/nonfinite_search.h"
#include "core/repacking_reader.h"
#include "ir/dtype.h"
#include "ir/status_macros.h"
#include "wasm/json_members.h"

namespace monoquant {
namespace {

enum class Mode { kQuantize, kConvert, kDequantize };

struct Request {
  Mode mode = Mode::kQuantize;
  std::string format;
  std::optional<Recipe> recipe;
  std::optional<DType> dtype;
};

absl::StatusOr<Mode> ParseMode(const std::string& text) {
  if (text == "quantize") return Mode::kQuantize;
  if (text == "convert") return Mode::kConvert;
  if (text == "dequantize") return Mode::kDequantize;
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown mode '", text, "'; choose quantize, convert or dequantize"));
}

absl::StatusOr<Request> ParseRequest(const Json& json) {
  JsonMembers members(json, "the plan's request");
  const std::string mode = members.String("mode", "quantize");
  const std::string format = members.String("format", "");
  const std::string dtype = members.String("dtype", "");
  const Json* recipe = members.Find("recipe");
  MQ_RETURN_IF_ERROR(members.Finish());

  Request request;
  request.format = format;
  MQ_ASSIGN_OR_RETURN(request.mode, ParseMode(mode));
  if (recipe != nullptr) {
    if (request.mode != Mode::kQuantize) {
      return absl::InvalidArgumentError(
          absl::StrCat("a recipe means nothing to ", mode));
    }
    MQ_ASSIGN_OR_RETURN(request.recipe, RecipeFromJson(*recipe));
  }
  if (!dtype.empty()) {
    request.dtype = DTypeFromName(dtype);
    if (request.mode != Mode::kDequantize || !request.dtype.has_value()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the dtype '", dtype, "' means nothing to ", mode,
                       "; only dequantize takes one: F32, F16, BF16 or F64"));
    }
  }
  return request;
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlannedOutput>> PlannedOutput::Create(
    std::shared_ptr<const CheckpointReader> reader, const Json& request) {
  std::unique_ptr<PlannedOutput> output(new PlannedOutput);
  output->reader_ = std::move(reader);
  MQ_RETURN_IF_ERROR(output->MakePlans(request));
  return output;
}

absl::Status PlannedOutput::MakePlans(const Json& json) {
  MQ_ASSIGN_OR_RETURN(const Request request, ParseRequest(json));
  MQ_ASSIGN_OR_RETURN(row_, FindExporter(request.format));
  if (row_->quantization_config != nullptr) {
    return absl::InvalidArgumentError(absl::StrCat(
        "the output format ", request.format,
        " is a directory of files, and this interface writes one; use the "
        "command line, or another format"));
  }
  if (request.mode == Mode::kQuantize) {
    recipe_ = request.recipe.value_or(Recipe());
    MQ_RETURN_IF_ERROR(PlanWith({}));
    if (recipe_.nonfinite == Nonfinite::kKeep) {
      MQ_ASSIGN_OR_RETURN(search_,
                          NonfiniteSearch::Create(reader_.get(), plan_));
    }
    return absl::OkStatus();
  }
  if (request.mode == Mode::kDequantize) {
    MQ_ASSIGN_OR_RETURN(
        reader_, MakeDequantizingReader(reader_, {.dtype = request.dtype}));
  } else {
    MQ_ASSIGN_OR_RETURN(reader_, MakeRepackingReader(reader_, row_->storage));
  }
  MQ_ASSIGN_OR_RETURN(plan_, MakeCopyPlan(reader_->index()));
  return LayOut();
}

absl::Status PlannedOutput::PlanWith(
    std::vector<std::pair<size_t, std::string>> keep) {
  PlanOptions options;
  options.storage = row_->storage;
  options.keep = std::move(keep);
  MQ_ASSIGN_OR_RETURN(plan_, MakePlan(reader_->index(), recipe_, options));
  return LayOut();
}

absl::Status PlannedOutput::LayOut() {
  MQ_ASSIGN_OR_RETURN(layout_, row_->exporter->Layout(plan_.manifest));
  return absl::OkStatus();
}

absl::StatusOr<bool> PlannedOutput::Settle() {
  if (settled()) return false;
  MQ_ASSIGN_OR_RETURN(const bool more, search_->Step(search_worker_));
  if (more) return true;
  std::vector<std::pair<size_t, std::string>> keep = search_->Found();
  search_.reset();
  if (!keep.empty()) MQ_RETURN_IF_ERROR(PlanWith(std::move(keep)));
  return false;
}

Json PlannedOutput::Describe() const {
  Json output;
  output.Set("format", row_->exporter->name());
  output.Set("bytes", layout_.file_size);
  output.Set("python", row_->python_hint);
  Json json;
  json.Set("settled", settled());
  json.Set("output", std::move(output));
  json.Set("plan", PlanToJson(reader_->index(), plan_));
  return json;
}

}  // namespace monoquant
