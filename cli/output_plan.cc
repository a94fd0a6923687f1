#include "cli/output_plan.h"

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "exporters/side_files.h"
#include "ir/errors.h"
#include "ir/local_files.h"
#include "ir/status_macros.h"

namespace monoquant::cli {
namespace {

namespace fs = std::filesystem;

std::string OrHere(const std::string& directory) {
  return directory.empty() ? "." : directory;
}

}  // namespace

absl::StatusOr<OutputPlan> PlanOutput(const Input& file, const Input& input,
                                      const OutputTarget& target,
                                      const Plan& plan,
                                      const Exporter& exporter,
                                      uint64_t max_shard_bytes) {
  if (target.is_directory) {
    return PlanDirectory(file, *input.reader, *target.row, plan, exporter,
                         max_shard_bytes);
  }
  OutputPlan output;
  MQ_RETURN_IF_ERROR(AddWeightFile(file, exporter,
                                   fs::path(target.path).filename().string(),
                                   plan.manifest, &output));
  const fs::path directory = fs::path(target.path).parent_path();
  if (!file.side_files.carried.empty() &&
      !SameFile(OrHere(directory.string()), OrHere(file.directory))) {
    output.notes.push_back(
        absl::StrCat("an output that is a file has no side files; name a "
                     "directory to have ",
                     FewNames(file.side_files.carried)));
  }
  return output;
}

absl::Status CheckOutputFiles(const OutputPlan& plan,
                              const OutputTarget& target, const Input& input,
                              bool force) {
  if (!target.is_directory) return absl::OkStatus();
  std::vector<std::string> names = plan.side_files;
  for (const TextFile& file : plan.made_files) names.push_back(file.name);
  for (const WeightFile& file : plan.files) names.push_back(file.name);
  if (!plan.index_name.empty()) names.push_back(plan.index_name);
  for (const std::string& name : names) {
    const std::string path = (fs::path(target.path) / name).string();
    MQ_RETURN_IF_ERROR(CheckNotInput(path, input.files));
    std::error_code error;
    if (!force && fs::exists(fs::symlink_status(path, error))) {
      return AlreadyExistsError(
          path, ": the output exists already; add --force to replace it");
    }
  }
  return absl::OkStatus();
}

void AppendFilesJson(const OutputPlan& plan, Json& json) {
  Json::Array files;
  for (const WeightFile& file : plan.files) {
    Json row;
    row.Set("name", file.name);
    row.Set("bytes", file.layout.file_size);
    row.Set("tensors", file.tensors);
    files.push_back(std::move(row));
  }
  json.Set("files", Json(std::move(files)));
  json.Set("index", plan.index_name.empty() ? Json() : Json(plan.index_name));
  Json::Array side_files(plan.side_files.begin(), plan.side_files.end());
  for (const TextFile& file : plan.made_files) {
    side_files.push_back(Json(file.name));
  }
  json.Set("side_files", Json(std::move(side_files)));
}

}  // namespace monoquant::cli
