#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "frontends/frontend.h"
#include "frontends/safetensors/shard_index.h"
#include "ir/errors.h"
#include "ir/status_macros.h"
#include "ir/torchao_metadata.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kFiles = FindingKind::kFiles;

bool TakeDigits(absl::string_view* text) {
  size_t count = 0;
  while (count < text->size() &&
         absl::ascii_isdigit(static_cast<unsigned char>((*text)[count]))) {
    ++count;
  }
  text->remove_prefix(count);
  return count > 0;
}

// Whether a file is called as shards are: "model-00001-of-00003.safetensors".
bool IsShardName(absl::string_view name) {
  for (size_t dash = name.find('-'); dash != absl::string_view::npos;
       dash = name.find('-', dash + 1)) {
    absl::string_view rest = name.substr(dash + 1);
    if (TakeDigits(&rest) && absl::ConsumePrefix(&rest, "-of-") &&
        TakeDigits(&rest)) {
      return rest == ".safetensors" || rest == ".bin";
    }
  }
  return false;
}

// A number that a program may have written as a float.
std::optional<uint64_t> ToBytes(const Json& json) {
  if (json.AsInt() != nullptr && *json.AsInt() >= 0) {
    return static_cast<uint64_t>(*json.AsInt());
  }
  constexpr double kLargest = 9e15;  // whole numbers are exact to there
  const double* value = json.AsDouble();
  if (value != nullptr && *value >= 0 && *value <= kLargest) {
    return static_cast<uint64_t>(*value);
  }
  return std::nullopt;
}

class ShardCheck {
 public:
  ShardCheck(const ShardIndex& index, Subject* subject, Findings* findings)
      : files_(subject->files),
        index_file_(subject->main_file),
        index_(index),
        subject_(*subject),
        findings_(*findings) {}

  absl::Status Run() {
    for (size_t i = 0; i < index_.shards.size(); ++i) {
      MQ_RETURN_IF_ERROR(CheckShard(i));
    }
    CheckMapped();
    CheckTwice();
    CheckTotalSize();
    CheckOthers();
    return absl::OkStatus();
  }

 private:
  bool IsThere(const std::string& file) const {
    return std::binary_search(files_.names.begin(), files_.names.end(), file);
  }

  absl::Status CheckShard(size_t number) {
    const std::string& file = index_.shards[number];
    if (!IsThere(file)) {
      findings_.Error(
          kFiles, file, "",
          absl::StrCat("is missing, though ", index_file_, " names it"),
          "download or copy all shards");
      whole_ = false;
      return absl::OkStatus();
    }
    CheckpointFiles alone = files_;
    alone.path = file;
    alone.is_directory = false;
    alone.main = file;
    alone.names = {file};
    OpenOptions options;
    options.as_stored = true;
    options.allow_opaque = true;
    options.without_record = true;
    MQ_ASSIGN_OR_RETURN(const auto source, files_.open(file));
    MQ_ASSIGN_OR_RETURN(const bool is_index, IsShardIndex(*source));
    const absl::StatusOr<std::unique_ptr<CheckpointReader>> reader =
        is_index ? DataLossError("is an index itself")
                 : OpenCheckpoint(alone, options);
    if (!reader.ok()) {
      const absl::Status& status = reader.status();
      if (!absl::IsDataLoss(status) && !absl::IsUnimplemented(status)) {
        return status;
      }
      findings_.AddMessage(
          Severity::kError, kFiles, file,
          absl::StripPrefix(status.message(), absl::StrCat(file, ": ")));
      whole_ = false;
      return absl::OkStatus();
    }
    const CheckpointIndex& shard = (*reader)->index();
    for (const TensorInfo& tensor : shard.tensors) {
      found_[tensor.name].push_back(number);
      if (index_.Maps(tensor.name, number)) listed_bytes_ += tensor.byte_size;
      if (tensor.tie == kNoTie) {
        bytes_ += tensor.byte_size;
        if (!index_.shard_of.contains(tensor.name)) {
          findings_.Warning(kFiles, file, tensor.name,
                            absl::StrCat("is not listed by ", index_file_),
                            "list it, or write the checkpoint again");
        }
      }
    }
    AddGlobals(shard.globals);
    for (const auto& [key, text] : shard.metadata) {
      if (key == kTorchaoNamesKey) subject_.last_torchao_names = text;
    }
    return absl::OkStatus();
  }

  void AddGlobals(const std::vector<std::string>& names) {
    std::vector<std::string>& globals = subject_.globals;
    for (const std::string& name : names) {
      if (globals.size() == CheckpointIndex::kMaxGlobals) break;
      if (std::find(globals.begin(), globals.end(), name) == globals.end()) {
        globals.push_back(name);
      }
    }
  }

  // Tensors that the index lists.
  void CheckMapped() {
    for (const std::string& name : index_.tensors) {
      const size_t shard = index_.shard_of.at(name);
      const std::string& file = index_.shards[shard];
      const auto it = found_.find(name);
      if (it == found_.end()) {
        // One that lies in a missing file is no finding of its own.
        if (!whole_) continue;
        findings_.Error(kFiles, file, name,
                        absl::StrCat("is listed by ", index_file_,
                                     " and in none of its files"),
                        "download or copy all files again");
      } else if (std::find(it->second.begin(), it->second.end(), shard) ==
                 it->second.end()) {
        findings_.Error(
            kFiles, file, name,
            absl::StrCat("is not there, but in ", index_.shards[it->second[0]],
                         ", though ", index_file_, " says otherwise"),
            "correct the index, or download all files again");
      }
    }
  }

  // Tensors that several files have.
  void CheckTwice() {
    for (const std::string& name : index_.tensors) {
      const auto it = found_.find(name);
      if (it == found_.end() || it->second.size() < 2) continue;
      findings_.Warning(kFiles, index_.shards[index_.shard_of.at(name)], name,
                        absl::StrCat("is in ", it->second.size(),
                                     " files; which one is loaded depends on "
                                     "the program"),
                        "write the checkpoint again");
    }
  }

  void CheckTotalSize() {
    if (index_.total_size.is_null() || !whole_) return;
    const std::optional<uint64_t> said = ToBytes(index_.total_size);
    // Programs count tied tensors once or for each name, and those that are
    // not listed or not.
    if (said.has_value() && (*said == bytes_ || *said == listed_bytes_)) return;
    findings_.Error(
        kFiles, index_file_, "",
        absl::StrCat("total_size is ", JsonExcerpt(index_.total_size),
                     ", but the tensors have ", bytes_, " bytes"),
        "check that index and files are of one checkpoint, or correct it");
  }

  // Files that would be taken for a part of it.
  void CheckOthers() {
    for (const std::string& file : files_.names) {
      if (!IsShardName(file) || SuffixOf(file) != SuffixOf(index_.shards)) {
        continue;
      }
      if (std::binary_search(index_.shards.begin(), index_.shards.end(),
                             file)) {
        continue;
      }
      findings_.Warning(
          kFiles, file, "",
          absl::StrCat("is left over: ", index_file_, " does not name it"),
          "remove it, if it is of an older checkpoint");
    }
    constexpr absl::string_view kSingle = "model.safetensors";
    if (index_file_ == absl::StrCat(kSingle, ".index.json") &&
        IsThere(std::string(kSingle)) &&
        !std::binary_search(index_.shards.begin(), index_.shards.end(),
                            std::string(kSingle))) {
      findings_.Warning(kFiles, kSingle, "",
                        absl::StrCat("lies beside ", index_file_,
                                     "; Transformers loads it instead of the "
                                     "shards"),
                        "remove the one that is not meant");
    }
  }

  static absl::string_view SuffixOf(absl::string_view file) {
    return file.substr(std::min(file.rfind('.'), file.size()));
  }
  static absl::string_view SuffixOf(const std::vector<std::string>& files) {
    return files.empty() ? absl::string_view() : SuffixOf(files[0]);
  }

  const CheckpointFiles& files_;
  const std::string& index_file_;
  const ShardIndex& index_;
  Subject& subject_;
  Findings& findings_;
  // In which shards each tensor is.
  absl::flat_hash_map<std::string, std::vector<size_t>> found_;
  // Whether all shards are there and can be opened.
  bool whole_ = true;
  uint64_t bytes_ = 0;         // of all tensors, tied ones once
  uint64_t listed_bytes_ = 0;  // of those that the index maps, by name
};

}  // namespace

absl::Status CheckShards(Subject* subject, Findings* findings) {
  MQ_ASSIGN_OR_RETURN(const auto source,
                      subject->files.open(subject->main_file));
  MQ_ASSIGN_OR_RETURN(const ShardIndex index, ParseShardIndex(*source));
  return ShardCheck(index, subject, findings).Run();
}

}  // namespace monoquant
