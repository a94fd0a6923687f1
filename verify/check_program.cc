#include <string>
#include <utility>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "core/siblings.h"
#include "exporters/program_limits.h"
#include "frontends/name_list.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kProgram = FindingKind::kProgram;

// Files that Transformers looks for in a directory.
constexpr absl::string_view kTransformersFiles[] = {
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
};

// Containers that torch has other functions for than torch.load.
constexpr absl::string_view kOtherTorchContainers[] = {
    "dcp",          "dcp-safetensors", "torch-export",
    "torch-mobile", "torchscript",     "torchscript-lite",
};

class Check {
 public:
  Check(const Subject& subject, Findings* findings)
      : subject_(subject), program_(subject.program), findings_(*findings) {}

  void Run() {
    CheckSiblings();
    if (program_ == nullptr) return;
    CheckFormat();
    if (program_->name == "torch") {
      CheckGlobals();
    } else {
      CheckDirectory();
    }
    CheckLimits();
  }

 private:
  void Error(absl::string_view file, absl::string_view tensor,
             absl::string_view what, absl::string_view remedy) {
    findings_.Error(kProgram, file, tensor, what, remedy);
  }

  // ---------------------------------------------------------- the format --

  void CheckFormat() {
    const std::string format = FormatOf(subject_);
    const std::string& container = subject_.stored->index().container;
    if (program_->name == "torch" &&
        absl::c_linear_search(kOtherTorchContainers, container)) {
      return;
    }
    if (!absl::c_linear_search(program_->formats, format)) {
      Error("", "",
            absl::StrCat(format, " is none of the formats that ",
                         program_->title, " is known to load (",
                         absl::StrJoin(program_->formats, ", "), ")"),
            absl::StrCat("write it for ", program_->title, " (--to ",
                         program_->formats[0], ")"));
      return;
    }
    if (program_->name == "torch") return;
    for (const QuantizedTensor& tensor : subject_.record.tensors) {
      if (tensor.storage != QuantStorage::kPlain ||
          !HasScales(tensor.scheme.format)) {
        continue;
      }
      Error("", tensor.name,
            absl::StrCat("is stored as codes and scales that ", program_->title,
                         " knows nothing of"),
            absl::StrCat("write it for ", program_->title, " (--to ",
                         program_->formats[0], ")"));
    }
  }

  void CheckDirectory() {
    const std::vector<std::string>& names = subject_.files.names;
    if (!absl::c_linear_search(names, "config.json")) {
      Error("", "",
            absl::StrCat("there is no config.json, without which ",
                         program_->title, " does not know the model"),
            "get the one that belongs to the weights");
    }
    if (program_->name != "transformers") return;
    CheckGlobals();
    if (!subject_.main_file.empty() &&
        !absl::c_linear_search(kTransformersFiles, subject_.main_file)) {
      Error(subject_.main_file, "",
            absl::StrCat("is no name that Transformers looks for (",
                         absl::StrJoin(kTransformersFiles, ", "), ")"),
            "rename it");
    }
    if (subject_.method == EngineMethod::kTorchao &&
        absl::EndsWith(subject_.stored->index().container, "-sharded")) {
      Error(subject_.main_file, "",
            "spreads tensors of torchao over several files, and Transformers "
            "takes their list from one",
            "write them into one file");
    }
  }

  // What torch.load reads, and no other function of torch's.
  void CheckGlobals() {
    const std::string& container = subject_.stored->index().container;
    if (container != "torch" && container != "torch-sharded" &&
        container != "torch-legacy") {
      return;
    }
    NameList refused;
    for (const std::string& name : subject_.globals) {
      if (IsWeightsOnlyGlobal(name)) continue;
      if (name == "torch.ScriptObject" && program_->name == "torch") {
        findings_.Warning(
            kProgram, "", "",
            "the pickle names torch.ScriptObject, which torch.load("
            "weights_only=True) takes where it was allowed",
            "call torch.serialization.add_safe_globals([torch.ScriptObject])");
        continue;
      }
      refused.Add(name);
    }
    if (refused.empty()) return;
    Error("", "",
          absl::StrCat("the pickle names ", refused.ToString(),
                       ", which torch.load(weights_only=True) refuses"),
          "convert it (monoquant convert), or allow the classes if you trust "
          "the file");
  }

  // ---------------------------------------------------------- the weights --

  void CheckLimits() {
    for (const QuantizedTensor& weight : subject_.weights) {
      for (const ExceededLimit& exceeded : LimitsExceeded(*program_, weight)) {
        findings_.Add(
            exceeded.limit->fails ? Severity::kError : Severity::kWarning,
            kProgram, "", weight.name,
            absl::StrCat(exceeded.what, " (", exceeded.limit->source, ")"),
            exceeded.limit->remedy);
      }
    }
  }

  // How a weight is quantized, by name.
  absl::flat_hash_map<std::string, std::string> Schemes() const {
    absl::flat_hash_map<std::string, std::string> schemes;
    for (const QuantizedTensor& weight : subject_.weights) {
      schemes[weight.name] = SchemeToString(weight.scheme);
    }
    return schemes;
  }

  // Weights that programs lay side by side.
  void CheckSiblings() {
    if (subject_.weights.empty() || !subject_.weights_are_known) return;
    if (program_ != nullptr && !program_->fuses_weights) return;
    const absl::flat_hash_map<std::string, std::string> schemes = Schemes();
    CheckpointIndex index;
    for (const QuantizedTensor& weight : subject_.weights) {
      AddWeight(weight.name, weight.shape, &index);
    }
    for (const TensorInfo& tensor : subject_.tensors()) {
      if (!schemes.contains(tensor.name) && tensor.shape.size() == 2) {
        AddWeight(tensor.name, tensor.shape, &index);
      }
    }
    const auto scheme_of = [&](size_t weight) -> std::string {
      const auto it = schemes.find(index.tensors[weight].name);
      return it == schemes.end() ? "not quantized" : it->second;
    };
    const auto check = [&](const std::vector<Siblings>& sets,
                           absl::string_view why) {
      for (const Siblings& set : sets) {
        const std::string first = scheme_of(set.weights[0]);
        for (const size_t weight : set.weights) {
          const std::string scheme = scheme_of(weight);
          if (scheme == first) continue;
          Mismatch(index.tensors[weight].name, scheme,
                   index.tensors[set.weights[0]].name, first, why);
          break;
        }
      }
    };
    check(FindFusedWeights(index), "as one matrix");
    check(FindExpertWeights(index), "as all experts of a layer");
  }

  static void AddWeight(const std::string& name, const Shape& shape,
                        CheckpointIndex* index) {
    TensorInfo info;
    info.name = name;
    info.shape = shape;
    index->tensors.push_back(std::move(info));
  }

  void Mismatch(absl::string_view name, absl::string_view scheme,
                absl::string_view first, absl::string_view first_scheme,
                absl::string_view why) {
    const std::string programs =
        program_ == nullptr ? "vLLM and SGLang" : std::string(program_->title);
    findings_.Add(
        program_ == nullptr ? Severity::kWarning : Severity::kError, kProgram,
        "", name,
        absl::StrCat("is ", scheme, ", but ", QuotedName(first), " is ",
                     first_scheme, ", and ", programs, " ",
                     program_ == nullptr ? "load" : "loads", " both ", why),
        "quantize them alike");
  }

  const Subject& subject_;
  const Program* const program_;
  Findings& findings_;
};

}  // namespace

void CheckProgram(const Subject& subject, Findings* findings) {
  Check(subject, findings).Run();
}

}  // namespace monoquant
