#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "core/default_policy.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "verify/checks.h"
#include "verify/name_pattern.h"

namespace monoquant {
namespace {

constexpr FindingKind kConfig = FindingKind::kConfig;
constexpr absl::string_view kFile = "config.json";
constexpr absl::string_view kSameCheckpoint =
    "get the config.json that belongs to these weights, or correct it";
constexpr absl::string_view kOutputLayer = "lm_head";

// Patterns times modules; more are not looked into.
constexpr uint64_t kMaxMatches = 20'000'000;

// An entry of a list of modules that Transformers leaves as they are.
struct Kept {
  std::string text;
  NamePattern pattern;
};

// Whether a model has an output layer that it shares with its embedding, so
// that no tensor tells of it.
bool HasUnstoredOutputLayer(const Subject& subject) {
  for (const TensorInfo& tensor : subject.tensors()) {
    if (absl::StrContains(tensor.name, kOutputLayer)) return false;
  }
  const Json* classes = EntryOf(&subject.config->json, "architectures");
  if (classes == nullptr || !classes->is_array()) return false;
  for (const Json& name : *classes->AsArray()) {
    if (name.AsString() != nullptr &&
        absl::EndsWith(*name.AsString(), "ForCausalLM")) {
      return true;
    }
  }
  return false;
}

std::vector<std::string> FloatModules(const Subject& subject) {
  std::vector<std::string> modules;
  for (const TensorInfo& tensor : subject.tensors()) {
    if (IsLinearWeight(tensor)) {
      modules.emplace_back(ModuleOfWeight(tensor.name));
    }
  }
  if (HasUnstoredOutputLayer(subject)) modules.emplace_back(kOutputLayer);
  return modules;
}

class FloatModuleCheck {
 public:
  FloatModuleCheck(const Subject& subject, absl::string_view key,
                   Findings* findings)
      : subject_(subject), key_(key), findings_(*findings) {}

  void Run() {
    const Json* list = EntryOf(subject_.quantization(), key_);
    is_given_ = list != nullptr;
    if (is_given_ && !ReadList(*list)) return;
    const std::vector<std::string> modules = FloatModules(subject_);
    const uint64_t names = modules.size() + subject_.weights.size();
    if (names * kept_.size() > kMaxMatches) {
      findings_.Warning(kConfig, kFile, "",
                        absl::StrCat(key_, " has ", kept_.size(),
                                     " entries, too many to look into"),
                        "");
      return;
    }
    for (const std::string& module : modules) {
      if (!IsKept(module)) Missing(module);
    }
    for (const QuantizedTensor& weight : subject_.weights) {
      if (!IsKept(ModuleOfWeight(weight.name))) continue;
      findings_.Error(
          kConfig, kFile, weight.name,
          absl::StrCat("is quantized, but ", key_, " says that it is not"),
          kSameCheckpoint);
    }
  }

 private:
  bool ReadList(const Json& list) {
    if (!list.is_array()) {
      findings_.Error(kConfig, kFile, "",
                      absl::StrCat(key_, " is ", JsonExcerpt(list),
                                   ", expected a list of modules"),
                      kSameCheckpoint);
      return false;
    }
    for (const Json& entry : *list.AsArray()) {
      if (entry.AsString() == nullptr) continue;
      absl::StatusOr<NamePattern> pattern =
          NamePattern::Parse(*entry.AsString());
      if (pattern.ok()) {
        kept_.push_back({*entry.AsString(), *std::move(pattern)});
      } else {
        findings_.Warning(kConfig, kFile, "",
                          absl::StrCat(key_, ": ", pattern.status().message()),
                          "");
        has_unknown_ = true;
      }
    }
    return true;
  }

  bool IsKept(absl::string_view module) const {
    for (const Kept& kept : kept_) {
      if (absl::EndsWith(module, kept.text) ||
          kept.pattern.MatchesModule(module)) {
        return true;
      }
    }
    return false;
  }

  void Missing(const std::string& module) {
    // What Transformers keeps where nothing is said; AWQ's in any case.
    const bool by_default =
        module == kOutputLayer &&
        (!is_given_ || subject_.method == EngineMethod::kAwq);
    if (by_default || has_unknown_) return;
    TensorInfo weight;
    weight.name = absl::StrCat(module, ".weight");
    // A router may be no Linear layer, so that nobody looks for it.
    const bool may_be_no_layer =
        module != kOutputLayer &&
        !ReasonForEngines(weight, subject_.storage).empty();
    findings_.Add(may_be_no_layer ? Severity::kWarning : Severity::kError,
                  kConfig, kFile, weight.name,
                  absl::StrCat("is not quantized, but ", key_,
                               is_given_ ? " does not name it" : " is missing",
                               ", so that codes are looked for"),
                  absl::StrCat("add the module to ", key_));
  }

  const Subject& subject_;
  const absl::string_view key_;
  Findings& findings_;
  bool is_given_ = false;
  bool has_unknown_ = false;
  std::vector<Kept> kept_;
};

// ------------------------------------------------------------------- fp8 --

void CheckFp8(const Subject& subject, Findings* findings) {
  const Json* size = EntryOf(subject.quantization(), "weight_block_size");
  for (const QuantizedTensor& weight : subject.weights) {
    if (weight.scheme.granularity == Granularity::kBlock && size == nullptr) {
      findings->Error(kConfig, kFile, weight.name,
                      "has scales for blocks, but there is no "
                      "weight_block_size, so that one scale is looked for",
                      kSameCheckpoint);
    } else if (weight.scheme.granularity != Granularity::kBlock &&
               size != nullptr) {
      findings->Error(kConfig, kFile, weight.name,
                      absl::StrCat("has no scales for blocks, but "
                                   "weight_block_size is ",
                                   JsonExcerpt(*size)),
                      kSameCheckpoint);
    }
  }
  if (size != nullptr && (!size->is_array() || size->AsArray()->size() != 2)) {
    findings->Error(kConfig, kFile, "",
                    absl::StrCat("weight_block_size is ", JsonExcerpt(*size),
                                 ", expected rows and columns of a block"),
                    kSameCheckpoint);
  }
  const std::string* activations =
      TextOf(subject.quantization(), "activation_scheme");
  if (activations != nullptr && *activations != "dynamic" &&
      *activations != "static") {
    findings->Error(
        kConfig, kFile, "",
        absl::StrCat("activation_scheme is ", JsonExcerpt(Json(*activations)),
                     ", expected \"dynamic\" or \"static\""),
        kSameCheckpoint);
  }
}

// ---------------------------------------------------------- bitsandbytes --

void CheckBitsandbytes(const Subject& subject, Findings* findings) {
  const bool* in_4bit = FlagOf(subject.quantization(), "load_in_4bit");
  const bool* in_8bit = FlagOf(subject.quantization(), "load_in_8bit");
  const std::string* type =
      TextOf(subject.quantization(), "bnb_4bit_quant_type");
  const auto is_set = [](const bool* flag) { return flag != nullptr && *flag; };
  for (const QuantizedTensor& weight : subject.weights) {
    const bool is_8bit = weight.scheme.format == NumberFormat::kLlmInt8;
    if (is_8bit ? !is_set(in_8bit) : !is_set(in_4bit)) {
      findings->Error(kConfig, kFile, weight.name,
                      is_8bit ? "has 8 bits, but load_in_8bit is not true"
                              : "has 4 bits, but load_in_4bit is not true",
                      kSameCheckpoint);
      continue;
    }
    if (!is_8bit && type != nullptr &&
        *type != NumberFormatName(weight.scheme.format)) {
      findings->Error(
          kConfig, kFile, weight.name,
          absl::StrCat("is ", NumberFormatName(weight.scheme.format),
                       ", but bnb_4bit_quant_type is ",
                       JsonExcerpt(Json(*type))),
          kSameCheckpoint);
    }
  }
}

}  // namespace

void CheckFloatModules(const Subject& subject, absl::string_view key,
                       Findings* findings) {
  FloatModuleCheck(subject, key, findings).Run();
}

void CheckConfig(const Subject& subject, Findings* findings) {
  switch (subject.method) {
    case EngineMethod::kCompressedTensors:
      CheckCompressedTensorsConfig(subject, findings);
      break;
    case EngineMethod::kGptq:
    case EngineMethod::kAwq:
      CheckWordsConfig(subject, findings);
      break;
    case EngineMethod::kFp8:
      CheckFp8(subject, findings);
      if (subject.weights_are_known) {
        CheckFloatModules(subject, "modules_to_not_convert", findings);
      }
      break;
    case EngineMethod::kBitsandbytes:
      CheckBitsandbytes(subject, findings);
      // Codes may be stored as elements of a float type.
      if (subject.weights_are_known) {
        CheckFloatModules(subject, "llm_int8_skip_modules", findings);
      }
      break;
    case EngineMethod::kTorchao:  // the files say what their tensors are
    case EngineMethod::kNone:
    case EngineMethod::kOther:
      break;
  }
}

}  // namespace monoquant
