#include "frontends/torch_export/inner_archives.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "frontends/torch/pickled_archive.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::StatusOr<const InnerTensors*> InnerArchives::Get(
    const std::string& member) {
  std::unique_ptr<InnerTensors>& opened = opened_[member];
  if (opened != nullptr) return opened.get();
  const std::string& file = outer_.zip->name();
  if (opened_.size() > kMaxInnerArchives) {
    return DataLossError(file,
                         ": more archives inside of it than the limit of ",
                         kMaxInnerArchives);
  }
  const std::optional<size_t> number = outer_.Find(member);
  if (!number.has_value()) {
    return DataLossError(
        file, ": member ", QuotedName(member),
        " is missing; the file is incomplete, download or copy it again");
  }
  CheckpointIndex found;
  auto tensors = std::make_unique<InnerTensors>();
  MQ_RETURN_IF_ERROR(
      ReadInnerArchive(outer_, *number, options_, &found, &tensors->placed));
  tensors->infos = std::move(found.tensors);
  // Much the same is to be said of many of them.
  std::vector<std::string>& notes = index_->notes;
  for (std::string& note : found.notes) {
    if (std::find(notes.begin(), notes.end(), note) == notes.end()) {
      notes.push_back(std::move(note));
    }
  }
  opened = std::move(tensors);
  return opened.get();
}

}  // namespace monoquant
