// The text metadata of torchao's files, without which nothing is read: it lists
// every tensor, and says what it is. Weights and their parts have been found
// when the checkpoint was opened.

#include "ir/torchao_metadata.h"

#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/json.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kTensors = FindingKind::kTensors;
constexpr absl::string_view kRemedy =
    "write the checkpoint again with the program that made it";

class Check {
 public:
  Check(const Subject& subject, Findings* findings)
      : subject_(subject), findings_(*findings) {
    for (const auto& [name, text] : subject_.stored->index().metadata) {
      metadata_.emplace(name, &text);
    }
  }

  // Every tensor is described, and what is described is there.
  void Run() {
    const Json names = Metadata(kTorchaoNamesKey);
    if (!names.is_array()) {
      findings_.Error(kTensors, subject_.main_file, "",
                      "has no list of tensors (tensor_names) in its metadata, "
                      "without which torchao reads nothing",
                      kRemedy);
      return;
    }
    absl::flat_hash_set<std::string> described;
    for (const Json& json : *names.AsArray()) {
      if (json.AsString() == nullptr) continue;
      Describe(*json.AsString(), &described);
    }
    for (const TensorInfo& tensor : subject_.tensors()) {
      if (tensor.tie != kNoTie || described.contains(tensor.name)) continue;
      findings_.Error(kTensors, "", tensor.name,
                      "is not among the tensors that the metadata describes",
                      kRemedy);
    }
  }

 private:
  // Of an entry that there is none of, and of a text that is none, null.
  Json Metadata(absl::string_view key) const {
    const auto it = metadata_.find(key);
    if (it == metadata_.end()) return Json();
    return ParseJson(*it->second).value_or(Json());
  }

  // Adds the stored tensors of `name`.
  void Describe(const std::string& name,
                absl::flat_hash_set<std::string>* described) {
    const Json description = Metadata(name);
    const std::string* type = TorchaoClassOf(description);
    if (type == nullptr) {
      findings_.Error(kTensors, "", name,
                      "is in the list of tensors, but the metadata does not "
                      "say what it is",
                      kRemedy);
      return;
    }
    if (*type == kTorchaoPlainClass) {
      CheckStored(name, name, described);
      return;
    }
    const Json* parts = EntryOf(&description, "_tensor_data_names");
    if (parts == nullptr || !parts->is_array()) {
      findings_.Error(
          kTensors, "", name,
          absl::StrCat("is a ", *type, " of which the metadata names no parts"),
          kRemedy);
      return;
    }
    for (const absl::string_view part : TorchaoPartsListed(description)) {
      CheckStored(name, absl::StrCat(TorchaoPartsOf(name), part), described);
    }
  }

  void CheckStored(const std::string& name, const std::string& stored,
                   absl::flat_hash_set<std::string>* described) {
    described->insert(stored);
    if (subject_.Find(stored) != nullptr) return;
    findings_.Error(kTensors, "", name,
                    name == stored ? std::string("is described, but missing")
                                   : absl::StrCat("has no part ", stored,
                                                  ", which is described"),
                    "download or copy the checkpoint again");
  }

  const Subject& subject_;
  Findings& findings_;
  absl::flat_hash_map<absl::string_view, const std::string*> metadata_;
};

}  // namespace

void CheckTorchaoMetadata(const Subject& subject, Findings* findings) {
  if (subject.method != EngineMethod::kTorchao) return;
  Check(subject, findings).Run();
}

}  // namespace monoquant
