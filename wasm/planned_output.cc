#include "wasm/planned_output.h"

#include <optional>
#include <utility>

#include "core/dequantizing_reader.h"
#include "core/job.h"
#include "core/nonfinite_search.h"
#include "core/repacking_reader.h"
#include "exporters/program_checks.h"
#include "exporters/programs.h"
#include "exporters/shards.h"
#include "frontends/frontend.h"
#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/status_macros.h"
#include "wasm/json_members.h"

namespace monoquant {
namespace {

// The integers of a double.
constexpr uint64_t kMaxShardBytes = uint64_t{1} << 53;

enum class Mode { kQuantize, kConvert, kDequantize };

struct Request {
  Mode mode = Mode::kQuantize;
  std::string format;
  const Program* program = nullptr;
  std::optional<Recipe> recipe;
  std::optional<DType> dtype;
  uint64_t max_shard_bytes = 0;
};

absl::StatusOr<Mode> ParseMode(const std::string& text) {
  if (text == "quantize") return Mode::kQuantize;
  if (text == "convert") return Mode::kConvert;
  if (text == "dequantize") return Mode::kDequantize;
  return InvalidArgumentError("unknown mode '", text,
                              "'; choose quantize, convert or dequantize");
}

absl::StatusOr<Request> ParseRequest(const Json& json) {
  JsonMembers members(json, "the plan's request");
  const std::string mode = members.String("mode", "quantize");
  const std::string format = members.String("format", "");
  const std::string program = members.String("for", "");
  const std::string dtype = members.String("dtype", "");
  const uint64_t max_shard_bytes =
      members.Uint("max_shard_bytes", kMaxShardBytes, /*otherwise=*/0);
  const Json* recipe = members.Find("recipe");
  MQ_RETURN_IF_ERROR(members.Finish());

  Request request;
  request.format = format;
  request.max_shard_bytes = max_shard_bytes;
  MQ_ASSIGN_OR_RETURN(request.mode, ParseMode(mode));
  if (!program.empty()) {
    if (request.mode == Mode::kDequantize) {
      return InvalidArgumentError(
          "\"for\" means nothing to dequantize; leave it out");
    }
    MQ_ASSIGN_OR_RETURN(request.program, FindProgram(program));
  }
  if (recipe != nullptr) {
    if (request.mode != Mode::kQuantize) {
      return InvalidArgumentError("a recipe means nothing to ", mode);
    }
    MQ_ASSIGN_OR_RETURN(request.recipe, RecipeFromJson(*recipe));
  }
  if (!dtype.empty()) {
    request.dtype = DTypeFromName(dtype);
    if (request.mode != Mode::kDequantize || !request.dtype.has_value()) {
      return InvalidArgumentError(
          "the dtype '", dtype, "' means nothing to ", mode,
          "; only dequantize takes one: F32, F16, BF16 or F64");
    }
  }
  return request;
}

absl::Status CheckSeveralFiles(const ExporterRow& row) {
  if (row.naming.has_shards) return absl::OkStatus();
  return InvalidArgumentError(
      row.exporter->name(),
      " output is always one file; leave out max_shard_bytes or "
      "choose another format");
}

// What is quantized where the request has no recipe.
absl::StatusOr<Recipe> DefaultRecipe(const ExporterRow& row) {
  Recipe recipe;
  if (row.default_scheme.empty()) return recipe;
  MQ_ASSIGN_OR_RETURN(const std::optional<SchemeSpec> spec,
                      ParseSchemeSpec(row.default_scheme));
  if (spec.has_value()) recipe.defaults = *spec;
  return recipe;
}

// That of the request, or the first one of the program that is loaded.
// InvalidArgument for one that the program does not load, and for a program
// alone where nothing is quantized that a format could be for.
absl::StatusOr<const ExporterRow*> FormatOf(const Request& request,
                                            const CheckpointIndex& index) {
  if (request.program == nullptr) return FindExporter(request.format);
  if (!request.format.empty()) {
    MQ_RETURN_IF_ERROR(FindExporter(request.format).status());
  } else if (request.mode == Mode::kConvert && index.quant.tensors.empty()) {
    return InvalidArgumentError(
        index.path,
        ": nothing in it is quantized, and \"for\" chooses formats "
        "of quantized weights; add a \"format\", or quantize it");
  }
  MQ_ASSIGN_OR_RETURN(const absl::string_view format,
                      FormatFor(*request.program, request.format));
  return FindExporter(format);
}

// The files around the checkpoint, which matter to a directory only.
ModelFiles ModelFilesOf(const HostCheckpoint& checkpoint, bool is_directory) {
  OpenAsStored open_as_stored;
  if (is_directory && !checkpoint.options.as_stored) {
    open_as_stored = [&checkpoint] {
      OpenOptions options = checkpoint.options;
      options.as_stored = true;
      return OpenCheckpoint(checkpoint.files, options);
    };
  }
  return FindModelFiles(checkpoint.files, checkpoint.reader, open_as_stored);
}

}  // namespace

absl::StatusOr<std::unique_ptr<PlannedOutput>> PlannedOutput::Create(
    const HostCheckpoint& checkpoint, const Json& request) {
  std::unique_ptr<PlannedOutput> output(new PlannedOutput);
  MQ_RETURN_IF_ERROR(output->MakePlans(checkpoint, request));
  return output;
}

absl::Status PlannedOutput::MakePlans(const HostCheckpoint& checkpoint,
                                      const Json& json) {
  MQ_ASSIGN_OR_RETURN(const Request request, ParseRequest(json));
  MQ_ASSIGN_OR_RETURN(row_, FormatOf(request, checkpoint.reader->index()));
  program_ = request.program;
  max_shard_bytes_ = request.max_shard_bytes;
  if (max_shard_bytes_ > 0) MQ_RETURN_IF_ERROR(CheckSeveralFiles(*row_));
  is_directory_ = row_->quantization_config != nullptr || max_shard_bytes_ > 0;
  model_ = ModelFilesOf(checkpoint, is_directory_);
  reader_ = model_.reader;
  if (request.mode == Mode::kConvert) {
    MQ_ASSIGN_OR_RETURN(reader_, MakeRepackingReader(reader_, row_->storage));
  } else {
    MQ_ASSIGN_OR_RETURN(
        reader_, MakeDequantizingReader(reader_, {.dtype = request.dtype}));
  }
  if (request.mode != Mode::kQuantize) {
    MQ_ASSIGN_OR_RETURN(plan_, MakeCopyPlan(reader_->index()));
    if (program_ != nullptr) {
      const absl::Status status = CheckManifest(*program_, plan_.manifest);
      if (!status.ok()) return Annotate(model_.path, status);
    }
    return LayOut();
  }
  if (request.recipe.has_value()) {
    recipe_ = *request.recipe;
  } else {
    MQ_ASSIGN_OR_RETURN(recipe_, DefaultRecipe(*row_));
  }
  MQ_RETURN_IF_ERROR(PlanWith({}));
  if (recipe_.nonfinite == Nonfinite::kKeep) {
    MQ_ASSIGN_OR_RETURN(search_, NonfiniteSearch::Create(reader_.get(), plan_));
  }
  return absl::OkStatus();
}

absl::Status PlannedOutput::PlanWith(
    std::vector<std::pair<size_t, std::string>> keep) {
  PlanOptions options = PlanOptionsFor(row_->storage, program_);
  options.keep = std::move(keep);
  MQ_ASSIGN_OR_RETURN(plan_, MakePlan(reader_->index(), recipe_, options));
  return LayOut();
}

absl::Status PlannedOutput::LayOut() {
  OutputPlan output;
  if (is_directory_) {
    MQ_ASSIGN_OR_RETURN(output, PlanDirectory(model_, *reader_, *row_, plan_,
                                              exporter(), max_shard_bytes_));
  } else {
    // The host knows better what to call it.
    const std::string name =
        ShardFileName(row_->naming.stem, row_->naming.extension, 0, 1);
    MQ_RETURN_IF_ERROR(
        AddWeightFile(model_, exporter(), name, plan_.manifest, &output));
  }
  MQ_ASSIGN_OR_RETURN(files_, ListFiles(output, model_.checkpoint_files));
  output_plan_ = std::make_shared<const OutputPlan>(std::move(output));
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
  uint64_t bytes = 0;
  Json::Array outputs;
  for (const PlannedFile& file : files_) {
    bytes += file.bytes;
    Json json;
    json.Set("name", file.name);
    json.Set("bytes", file.bytes);
    json.Set("copied", file.copied);
    outputs.push_back(std::move(json));
  }
  // The line is about one file, but for the formats that are directories.
  const bool has_python =
      !is_directory_ || row_->quantization_config != nullptr;
  Json output;
  output.Set("format", row_->exporter->name());
  output.Set("directory", is_directory_);
  output.Set("bytes", bytes);
  output.Set("python", has_python ? row_->python_hint : "");
  Json plan = PlanToJson(reader_->index(), plan_);
  if (program_ != nullptr) {
    Json program;
    program.Set("program", program_->name);
    program.Set("left", plan_.left_for_program());
    plan.Set("for", std::move(program));
  }
  Json json;
  json.Set("settled", settled());
  json.Set("output", std::move(output));
  json.Set("outputs", Json(std::move(outputs)));
  json.Set("peak_memory",
           PeakMemory(plan_, /*threads=*/1, JobOptions().chunk_bytes));
  json.Set("notes",
           Json::Array(output_plan_->notes.begin(), output_plan_->notes.end()));
  json.Set("plan", std::move(plan));
  return json;
}

}  // namespace monoquant
