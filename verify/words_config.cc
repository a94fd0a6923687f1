// quantization_config of GPTQ and AWQ, and quantize_config.json beside it. Bits
// and groups have been compared with the tensors when these were opened.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/default_policy.h"
#include "ir/byte_source.h"
#include "ir/json.h"
#include "verify/checks.h"
#include "verify/name_pattern.h"

namespace monoquant {
namespace {

constexpr FindingKind kConfig = FindingKind::kConfig;
constexpr absl::string_view kFile = "config.json";
constexpr absl::string_view kOtherFile = "quantize_config.json";
constexpr uint64_t kMaxConfigBytes = 16 << 20;
constexpr absl::string_view kSameCheckpoint =
    "get the config.json that belongs to these weights, or correct it";

// Whether a module is one of a row of blocks: "model.layers.0.fc".
bool IsInBlock(absl::string_view module) {
  for (const absl::string_view part : absl::StrSplit(module, '.')) {
    if (!part.empty() &&
        std::all_of(part.begin(), part.end(),
                    [](unsigned char c) { return absl::ascii_isdigit(c); })) {
      return true;
    }
  }
  return false;
}

class Check {
 public:
  Check(const Subject& subject, Findings* findings)
      : subject_(subject),
        config_(subject.quantization()),
        findings_(*findings) {}

  void Run() {
    CheckEntries();
    CompareOtherFile();
    if (!subject_.weights_are_known) return;
    if (subject_.method == EngineMethod::kAwq) {
      CheckFloatModules(subject_, "modules_to_not_convert", &findings_);
    } else {
      CheckFloatLayers();
    }
  }

 private:
  void CheckEntries() {
    const bool is_awq = subject_.method == EngineMethod::kAwq;
    for (const char* key : {"bits", "group_size"}) {
      if (EntryOf(config_, key) == nullptr) {
        findings_.Error(kConfig, kFile, "", absl::StrCat("has no ", key),
                        kSameCheckpoint);
      }
    }
    // vLLM asks for them; others have defaults.
    const std::vector<absl::string_view> asked_for =
        is_awq ? std::vector<absl::string_view>{"zero_point"}
               : std::vector<absl::string_view>{"desc_act", "sym"};
    for (const absl::string_view key : asked_for) {
      if (EntryOf(config_, key) == nullptr) {
        findings_.Warning(kConfig, kFile, "",
                          absl::StrCat("has no ", key,
                                       ", which programs take for true or for "
                                       "false, or refuse"),
                          "say which it is");
      }
    }
  }

  // What programs of GPTQ's read where config.json has nothing, and some
  // instead of it.
  void CompareOtherFile() {
    if (!std::binary_search(subject_.files.names.begin(),
                            subject_.files.names.end(), kOtherFile)) {
      return;
    }
    const absl::StatusOr<Json> other = ReadOtherFile();
    if (!other.ok() || !other->is_object()) {
      findings_.Warning(
          kConfig, kOtherFile, "",
          other.ok() ? "is no object" : std::string(other.status().message()),
          "remove it, or copy quantization_config into it");
      return;
    }
    for (const char* key :
         {"bits", "group_size", "sym", "desc_act", "checkpoint_format",
          "quant_method", "zero_point", "version"}) {
      const Json* here = EntryOf(config_, key);
      const Json* there = EntryOf(&*other, key);
      if (here == nullptr || there == nullptr || *here == *there) continue;
      findings_.Error(
          kConfig, kOtherFile, "",
          absl::StrCat("has ", key, " ", JsonExcerpt(*there),
                       ", but config.json has ", JsonExcerpt(*here)),
          "copy quantization_config of config.json into it");
    }
  }

  absl::StatusOr<Json> ReadOtherFile() const {
    const absl::StatusOr<std::shared_ptr<ByteSource>> source =
        subject_.files.open(kOtherFile);
    if (!source.ok()) return source.status();
    const absl::StatusOr<std::string> text = ReadAll(**source, kMaxConfigBytes);
    if (!text.ok()) return text.status();
    return ParseJson(*text);
  }

  // -------------------------------------------------------- layers of GPTQ --

  // The expressions of `dynamic` that leave modules out: "-:^model\.fc$".
  // Nullopt if one cannot be looked into.
  std::optional<std::vector<NamePattern>> LeftOut() const {
    std::vector<NamePattern> left_out;
    const Json* dynamic = EntryOf(config_, "dynamic");
    if (dynamic == nullptr || !dynamic->is_object()) return left_out;
    for (const Json::Member& member : *dynamic->AsObject()) {
      absl::string_view text = member.first;
      if (!absl::ConsumePrefix(&text, "-:")) continue;
      absl::StatusOr<NamePattern> pattern = NamePattern::Parse(text);
      if (!pattern.ok()) {
        findings_.Warning(kConfig, kFile, "",
                          absl::StrCat("dynamic: ", pattern.status().message()),
                          "");
        return std::nullopt;
      }
      left_out.push_back(*std::move(pattern));
    }
    return left_out;
  }

  // The ends of names of the layers that are quantized, and of no others;
  // nullopt if there is no such list.
  std::optional<std::vector<std::string>> Quantized() const {
    const Json* list = EntryOf(config_, "modules_in_block_to_quantize");
    if (list == nullptr || !list->is_array()) return std::nullopt;
    std::vector<std::string> ends;
    for (const Json& entry : *list->AsArray()) {
      if (entry.AsString() != nullptr) ends.push_back(*entry.AsString());
      if (!entry.is_array()) continue;
      for (const Json& name : *entry.AsArray()) {
        if (name.AsString() != nullptr) ends.push_back(*name.AsString());
      }
    }
    return ends;
  }

  bool IsFor(absl::string_view program) const {
    return subject_.program != nullptr && subject_.program->name == program;
  }

  // Layers of blocks that are floats. Which layers a program asks for codes is
  // known to its models, so that nothing here is more than unusual.
  void CheckFloatLayers() {
    constexpr uint64_t kMaxMatches = 20'000'000;
    const std::optional<std::vector<NamePattern>> left_out = LeftOut();
    const std::optional<std::vector<std::string>> quantized = Quantized();
    if (!left_out.has_value()) return;
    const uint64_t entries =
        left_out->size() + (quantized.has_value() ? quantized->size() : 0);
    if (entries * subject_.tensors().size() > kMaxMatches) return;
    for (const TensorInfo& tensor : subject_.tensors()) {
      if (!IsLinearWeight(tensor) ||
          !ReasonForEngines(tensor, subject_.storage).empty()) {
        continue;
      }
      const absl::string_view module = ModuleOfWeight(tensor.name);
      if (!IsInBlock(module)) continue;
      const bool in_dynamic = std::any_of(left_out->begin(), left_out->end(),
                                          [&](const NamePattern& pattern) {
                                            return pattern.MatchesStart(module);
                                          });
      const bool in_list = quantized.has_value() &&
                           std::none_of(quantized->begin(), quantized->end(),
                                        [&](const std::string& end) {
                                          return absl::EndsWith(module, end);
                                        });
      if (!in_dynamic && !IsFor("transformers")) {
        findings_.Warning(kConfig, kFile, tensor.name,
                          "is not quantized, but dynamic does not leave it "
                          "out: GPTQModel and vLLM may look for codes",
                          "add \"-:\" and its name to dynamic");
      }
      if (!in_list && (subject_.program == nullptr || IsFor("transformers"))) {
        findings_.Warning(
            kConfig, kFile, tensor.name,
            "is not quantized, but modules_in_block_to_quantize does not leave "
            "it out: Transformers may look for codes",
            "list the layers that are quantized there");
      }
    }
  }

  const Subject& subject_;
  const Json* const config_;
  Findings& findings_;
};

}  // namespace

void CheckWordsConfig(const Subject& subject, Findings* findings) {
  Check(subject, findings).Run();
}

}  // namespace monoquant
