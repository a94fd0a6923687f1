#include <cstdint>
#include <string>
#include <vector>

#include "absl/algorithm/container.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "exporters/program_checks.h"
#include "exporters/program_limits.h"
#include "frontends/name_list.h"
#include "ir/json.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/torchao_metadata.h"
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
    CheckDifferences();
    if (program_ == nullptr) return;
    CheckFormat();
    if (program_->name == "torch") {
      CheckGlobals();
    } else {
      CheckDirectory();
    }
    CheckLimits();
    CheckFloatExperts();
    CheckActivationScales();
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
    if (IsUntested(*program_, format)) {
      findings_.Warning(
          kProgram, "", "",
          absl::StrCat("is ", format, ", for which ", program_->title,
                       " has a loader, which is not tested"),
          "");
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
    for (const QuantizedTensor& tensor : subject_.record.tensors) {
      if (tensor.storage == QuantStorage::kPlain) CheckLimitsOf(tensor);
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
    CheckTorchaoList();
  }

  // Transformers gathers from all files what torchao says of its tensors, but
  // takes the list of the last one for that of all.
  void CheckTorchaoList() {
    if (subject_.method != EngineMethod::kTorchao) return;
    TorchaoNames last;
    if (!last.Add(subject_.last_torchao_names)) return;
    for (const auto& [name, text] : subject_.stored->index().metadata) {
      if (last.Has(name)) continue;
      const Json description = ParseJson(text).value_or(Json());
      const std::string* type = TorchaoClassOf(description);
      if (type == nullptr || *type == kTorchaoPlainClass) continue;
      Error(subject_.main_file, name,
            "is not in the list (tensor_names) of the last file, which "
            "Transformers takes for the list of all tensors",
            "write the tensors into one file");
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
      CheckLimitsOf(weight);
    }
  }

  void CheckLimitsOf(const QuantizedTensor& weight) {
    for (const ExceededLimit& exceeded : LimitsExceeded(*program_, weight)) {
      findings_.Add(
          exceeded.limit->consequence == Consequence::kFails
              ? Severity::kError
              : Severity::kWarning,
          kProgram, "", weight.name,
          absl::StrCat(exceeded.what, " (", exceeded.limit->source, ")"),
          exceeded.limit->remedy);
    }
  }

  // Whether Transformers takes experts for FP8: it looks for a group that has
  // them in a regular expression, then for one with other targets.
  bool ExpertsAreFp8() const {
    const Json* groups = EntryOf(subject_.quantization(), "config_groups");
    if (groups == nullptr || !groups->is_object()) return false;
    const Json* first = nullptr;
    const Json* named = nullptr;
    for (const Json::Member& member : *groups->AsObject()) {
      if (first == nullptr) first = &member.second;
      const Json* targets = EntryOf(&member.second, "targets");
      if (targets == nullptr || !targets->is_array()) continue;
      for (const Json& target : *targets->AsArray()) {
        if (target.AsString() == nullptr) continue;
        const bool is_pattern = absl::StartsWith(*target.AsString(), "re:");
        if (is_pattern && absl::StrContains(*target.AsString(), "experts")) {
          return IsFp8(member.second);
        }
        if (!is_pattern && named == nullptr) named = &member.second;
      }
    }
    if (named == nullptr) named = first;
    return named != nullptr && IsFp8(*named);
  }

  static bool IsFp8(const Json& group) {
    const Json* weights = EntryOf(&group, "weights");
    const std::string* type = TextOf(weights, "type");
    const int64_t* bits = IntegerOf(weights, "num_bits");
    return type != nullptr && *type == "float" &&
           (bits == nullptr || *bits == 8);
  }

  // Experts that are floats beside quantized weights.
  void CheckFloatExperts() {
    if (!subject_.weights_are_known ||
        subject_.method != EngineMethod::kCompressedTensors) {
      return;
    }
    const FloatExpertLimit* limit =
        FindFloatExpertLimit(*program_, subject_.storage, ExpertsAreFp8());
    if (limit == nullptr) return;
    for (const std::string& expert :
         FloatExperts(subject_.weights, subject_.tensors())) {
      Error("", expert, absl::StrCat(limit->what, " (", limit->source, ")"),
            limit->remedy);
    }
  }

  // Those that AWQ's own program stores for activations.
  void CheckActivationScales() {
    if (program_->name != "transformers" ||
        subject_.method != EngineMethod::kAwq) {
      return;
    }
    const std::string* type = TextOf(&subject_.config->json, "model_type");
    if (type == nullptr || !NeedsActivationScales(*type)) return;
    for (const TensorInfo& tensor : subject_.tensors()) {
      if (absl::EndsWith(tensor.name, ".scales") &&
          subject_.Find(absl::StrCat(absl::StripSuffix(tensor.name, "scales"),
                                     "qweight")) == nullptr) {
        return;
      }
    }
    Error("config.json", "",
          absl::StrCat("has the model_type ", *type,
                       ", whose activations Transformers divides by scales "
                       "that AWQ's files have for them; there are none, so "
                       "that all results are NaN"),
          "use another format (--to gptq)");
  }

  // Weights that programs put together.
  void CheckDifferences() {
    if (!subject_.weights_are_known) return;
    const bool any = program_ == nullptr;
    const bool floats_among_experts =
        !any &&
        LoadsFloatsAmongExperts(*program_, subject_.storage, ExpertsAreFp8());
    for (const Difference& difference : FindDifferences(
             any || program_->fuses_weights, any || program_->fuses_experts,
             subject_.weights, subject_.tensors(), floats_among_experts)) {
      findings_.Add(any ? Severity::kWarning : Severity::kError, kProgram, "",
                    difference.weight,
                    absl::StrCat("is ", difference.scheme, ", but ",
                                 QuotedName(difference.first), " is ",
                                 difference.first_scheme, ", and ",
                                 any ? std::string("vLLM and SGLang load")
                                     : absl::StrCat(program_->title, " loads"),
                                 " both ", difference.as),
                    "quantize them alike");
    }
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
