// Weights of torchao's: M._weight_qdata and its parts, described by the text
// metadata of their file.

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kTensors = FindingKind::kTensors;
constexpr absl::string_view kNamesKey = "tensor_names";
constexpr absl::string_view kRemedy =
    "write the checkpoint again with the program that made it";

// "M._weight_" of the parameter "M.weight".
std::string PrefixOf(absl::string_view name) {
  const size_t dot = name.rfind('.');
  return dot == absl::string_view::npos
             ? absl::StrCat("_", name, "_")
             : absl::StrCat(name.substr(0, dot + 1), "_", name.substr(dot + 1),
                            "_");
}

class Finder {
 public:
  Finder(Subject* subject, Findings* findings)
      : subject_(*subject), findings_(*findings) {}

  void Run() {
    for (const TensorInfo& tensor : subject_.tensors()) {
      absl::string_view module = tensor.name;
      if (absl::ConsumeSuffix(&module, "._weight_qdata")) {
        Add(tensor, absl::StrCat(module, ".weight"));
      }
    }
    if (subject_.method == EngineMethod::kTorchao) CheckMetadata();
  }

 private:
  void Add(const TensorInfo& codes, std::string name) {
    const std::string scale = absl::StrCat(PrefixOf(name), "scale");
    if (subject_.Find(scale) == nullptr) {
      findings_.Error(kTensors, "", codes.name, "has codes, but no scales",
                      "download or copy the checkpoint again");
      return;
    }
    QuantizedTensor weight;
    weight.name = std::move(name);
    weight.scheme.format = codes.dtype == DType::kI8 ? NumberFormat::kInt8
                                                     : NumberFormat::kFp8E4M3;
    weight.scheme.granularity = Granularity::kAxis;
    weight.scheme.scale_dtype = subject_.Find(scale)->dtype;
    weight.shape = codes.shape;
    weight.codes = codes.name;
    weight.scale = scale;
    weight.storage = QuantStorage::kTorchao;
    subject_.weights.push_back(std::move(weight));
  }

  const std::string* Metadata(absl::string_view key) const {
    for (const auto& [name, value] : subject_.stored->index().metadata) {
      if (name == key) return &value;
    }
    return nullptr;
  }

  // The metadata lists every tensor, and every tensor is in it.
  void CheckMetadata() {
    const std::string* text = Metadata(kNamesKey);
    const absl::StatusOr<Json> names =
        text == nullptr ? absl::StatusOr<Json>(Json()) : ParseJson(*text);
    if (!names.ok() || !names->is_array()) {
      findings_.Error(kTensors, subject_.main_file, "",
                      "has no list of tensors (tensor_names) in its metadata, "
                      "without which torchao reads nothing",
                      kRemedy);
      return;
    }
    absl::flat_hash_set<std::string> described;
    for (const Json& json : *names->AsArray()) {
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

  // Adds the stored tensors of `name`.
  void Describe(const std::string& name,
                absl::flat_hash_set<std::string>* described) {
    const std::string* text = Metadata(name);
    const absl::StatusOr<Json> json =
        text == nullptr ? absl::StatusOr<Json>(Json()) : ParseJson(*text);
    const std::string* type = json.ok() ? TextOf(&*json, "_type") : nullptr;
    if (type == nullptr) {
      findings_.Error(kTensors, "", name,
                      "is in the list of tensors, but the metadata does not "
                      "say what it is",
                      kRemedy);
      return;
    }
    if (*type == "Tensor") {
      CheckStored(name, name, described);
      return;
    }
    const Json* parts = EntryOf(&*json, "_tensor_data_names");
    if (parts == nullptr || !parts->is_array()) {
      findings_.Error(
          kTensors, "", name,
          absl::StrCat("is a ", *type, " of which the metadata names no parts"),
          kRemedy);
      return;
    }
    for (const Json& part : *parts->AsArray()) {
      if (part.AsString() == nullptr) continue;
      CheckStored(name, absl::StrCat(PrefixOf(name), *part.AsString()),
                  described);
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

  Subject& subject_;
  Findings& findings_;
};

}  // namespace

void FindTorchaoWeights(Subject* subject, Findings* findings) {
  Finder(subject, findings).Run();
}

}  // namespace monoquant
