// quantization_config of compressed-tensors: which layers it describes, and
// how, against those that are quantized.

#include <algorithm>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "core/default_policy.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/sort.h"
#include "verify/checks.h"
#include "verify/name_pattern.h"

namespace monoquant {
namespace {

constexpr FindingKind kConfig = FindingKind::kConfig;
constexpr absl::string_view kFile = "config.json";
constexpr absl::string_view kSameCheckpoint =
    "get the config.json that belongs to these weights, or correct it";
constexpr absl::string_view kLinear = "Linear";
constexpr absl::string_view kExpression = "re:";

// Regular expressions times modules; more are not looked into.
constexpr uint64_t kMaxMatches = 20'000'000;

// What compressed-tensors 0.20 knows in the description of weights or
// activations; it refuses any other key.
constexpr absl::string_view kArguments[] = {
    "num_bits", "type",       "symmetric",
    "strategy", "group_size", "block_structure",
    "dynamic",  "actorder",   "scale_dtype",
    "zp_dtype", "observer",   "observer_kwargs",
};

constexpr absl::string_view kFormats[] = {
    "dense",           "pack-quantized",       "int-quantized",
    "naive-quantized", "float-quantized",      "nvfp4-pack-quantized",
    "mixed-precision", "mxfp4-pack-quantized", "mxfp8-quantized",
    "marlin-24",       "sparse-24-bitmask",    "sparse-bitmask",
};

// Names of modules, as a list of targets or of what is to be ignored has them.
class ModuleList {
 public:
  // Adds what is no list of texts, and what cannot be looked into.
  void Read(const Json* list, absl::string_view key, Findings* findings) {
    if (list == nullptr) return;
    if (!list->is_array()) {
      findings->Error(kConfig, kFile, "",
                      absl::StrCat(key, " is ", JsonExcerpt(*list),
                                   ", expected a list of modules"),
                      kSameCheckpoint);
      return;
    }
    for (const Json& json : *list->AsArray()) {
      if (json.AsString() == nullptr) continue;
      absl::string_view text = *json.AsString();
      if (!absl::ConsumePrefix(&text, kExpression)) {
        names_.insert(std::string(text));
        continue;
      }
      absl::StatusOr<NamePattern> pattern = NamePattern::Parse(text);
      if (pattern.ok()) {
        patterns_.emplace_back(*json.AsString(), *std::move(pattern));
        continue;
      }
      has_unknown_ = true;
      findings->Add(absl::IsInvalidArgument(pattern.status())
                        ? Severity::kError
                        : Severity::kWarning,
                    kConfig, kFile, "",
                    absl::StrCat(key, ": ", pattern.status().message()), "");
    }
  }

  bool HasName(absl::string_view module) const {
    return names_.contains(module);
  }
  bool HasPattern(absl::string_view module) const {
    for (const auto& [text, pattern] : patterns_) {
      if (pattern.MatchesStart(module)) return true;
    }
    return false;
  }
  bool HasLinear() const { return names_.contains(kLinear); }
  bool Has(absl::string_view module) const {
    return HasName(module) || HasPattern(module);
  }
  // Whether some entry is not looked into, so that it may match anything.
  bool has_unknown() const { return has_unknown_; }
  size_t num_patterns() const { return patterns_.size(); }

  // Entries that match none of the modules; classes are left out.
  std::vector<std::string> Unused(
      const absl::flat_hash_set<std::string>& modules) const {
    std::vector<std::string> unused;
    for (const std::string& name : names_) {
      const bool is_class = name.find('.') == std::string::npos &&
                            !name.empty() && name[0] >= 'A' && name[0] <= 'Z';
      // The output layer need not be stored.
      if (!is_class && !modules.contains(name) && name != "lm_head") {
        unused.push_back(name);
      }
    }
    for (const auto& [text, pattern] : patterns_) {
      const bool used =
          pattern.MatchesStart("lm_head") ||
          std::any_of(modules.begin(), modules.end(),
                      [&pattern = pattern](const std::string& module) {
                        return pattern.MatchesStart(module);
                      });
      if (!used) unused.push_back(text);
    }
    Sort(unused);
    return unused;
  }

 private:
  absl::flat_hash_set<std::string> names_;
  std::vector<std::pair<std::string, NamePattern>> patterns_;
  bool has_unknown_ = false;
};

struct Group {
  std::string name;
  const Json* weights = nullptr;  // null: not quantized
  std::string format;             // empty: not said
  ModuleList targets;
};

// "channel" and so on.
absl::string_view StrategyOf(const QuantScheme& scheme) {
  if (HasGlobalScale(scheme)) return "tensor_group";
  switch (scheme.granularity) {
    case Granularity::kTensor:
      return "tensor";
    case Granularity::kAxis:
      return "channel";
    case Granularity::kGroup:
      return "group";
    case Granularity::kBlock:
      return "block";
  }
  return "";
}

std::vector<absl::string_view> FormatsOf(const QuantizedTensor& weight) {
  if (weight.storage == QuantStorage::kPackQuantized) return {"pack-quantized"};
  if (weight.storage == QuantStorage::kIntQuantized) {
    return {"int-quantized", "naive-quantized"};
  }
  if (HasGlobalScale(weight.scheme)) return {"nvfp4-pack-quantized"};
  if (weight.scheme.format == NumberFormat::kFp4E2M1) {
    return {"mxfp4-pack-quantized"};
  }
  if (weight.scheme.scale_dtype == DType::kF8E8M0) return {"mxfp8-quantized"};
  return {"float-quantized", "naive-quantized"};
}

class Check {
 public:
  Check(const Subject& subject, Findings* findings)
      : subject_(subject),
        config_(*subject.quantization()),
        findings_(*findings) {}

  void Run() {
    CheckStatus();
    ReadGroups();
    ignore_.Read(EntryOf(&config_, "ignore"), "ignore", &findings_);
    if (!subject_.weights_are_known || TooMany()) return;
    for (const QuantizedTensor& weight : subject_.weights) CheckWeight(weight);
    for (const TensorInfo& tensor : subject_.tensors()) {
      if (IsLinearWeight(tensor)) CheckFloatWeight(tensor);
    }
    CheckUnused();
  }

 private:
  void Wrong(absl::string_view weight, absl::string_view what) {
    findings_.Error(kConfig, kFile, weight, what, kSameCheckpoint);
  }

  void CheckStatus() {
    const std::string* status = TextOf(&config_, "quantization_status");
    if (status == nullptr || *status != "compressed") {
      // Engines do not look at it.
      const bool matters = subject_.program == nullptr ||
                           subject_.program->name == "transformers";
      findings_.Add(
          matters ? Severity::kError : Severity::kWarning, kConfig, kFile, "",
          absl::StrCat("quantization_status is ",
                       status == nullptr ? std::string("missing")
                                         : JsonExcerpt(Json(*status)),
                       ": Transformers takes the codes for weights and says "
                       "nothing"),
          "set it to \"compressed\"");
    }
    const std::string* format = TextOf(&config_, "format");
    if (format != nullptr) CheckFormat(*format);
  }

  void CheckFormat(const std::string& format) {
    if (std::find(std::begin(kFormats), std::end(kFormats), format) ==
        std::end(kFormats)) {
      Wrong("", absl::StrCat("has the format ", JsonExcerpt(Json(format)),
                             ", which compressed-tensors does not know"));
    }
  }

  void ReadGroups() {
    const Json* groups = EntryOf(&config_, "config_groups");
    // Opening has complained.
    if (groups == nullptr || !groups->is_object()) return;
    for (const Json::Member& member : *groups->AsObject()) {
      Group group;
      group.name = member.first;
      group.weights = EntryOf(&member.second, "weights");
      const std::string* format = TextOf(&member.second, "format");
      if (format == nullptr) format = TextOf(&config_, "format");
      if (format != nullptr) {
        group.format = *format;
        CheckFormat(*format);
      }
      group.targets.Read(EntryOf(&member.second, "targets"),
                         absl::StrCat(member.first, ".targets"), &findings_);
      CheckArguments(group.name, "weights", group.weights);
      CheckArguments(group.name, "input_activations",
                     EntryOf(&member.second, "input_activations"));
      groups_.push_back(std::move(group));
    }
  }

  void CheckArguments(absl::string_view group, absl::string_view what,
                      const Json* arguments) {
    if (arguments == nullptr || !arguments->is_object()) return;
    for (const Json::Member& member : *arguments->AsObject()) {
      if (std::find(std::begin(kArguments), std::end(kArguments),
                    member.first) == std::end(kArguments)) {
        findings_.Error(kConfig, kFile, "",
                        absl::StrCat(group, ".", what, " has an entry ",
                                     QuotedName(member.first),
                                     ", which compressed-tensors refuses"),
                        "remove the entry");
      }
    }
  }

  bool TooMany() {
    size_t patterns = ignore_.num_patterns();
    for (const Group& group : groups_) patterns += group.targets.num_patterns();
    if (uint64_t{patterns} * subject_.tensors().size() <= kMaxMatches) {
      return false;
    }
    findings_.Warning(kConfig, kFile, "",
                      absl::StrCat("has ", patterns,
                                   " regular expressions, too many to look "
                                   "into"),
                      "");
    return true;
  }

  // The group that describes a module; names go before expressions, and these
  // before classes.
  const Group* GroupOf(absl::string_view module) const {
    for (const Group& group : groups_) {
      if (group.targets.HasName(module)) return &group;
    }
    for (const Group& group : groups_) {
      if (group.targets.HasPattern(module)) return &group;
    }
    for (const Group& group : groups_) {
      if (group.targets.HasLinear()) return &group;
    }
    return nullptr;
  }

  bool TargetsHaveUnknown() const {
    return std::any_of(groups_.begin(), groups_.end(), [](const Group& group) {
      return group.targets.has_unknown();
    });
  }

  void CheckWeight(const QuantizedTensor& weight) {
    const absl::string_view module = ModuleOfWeight(weight.name);
    if (ignore_.Has(module)) {
      Wrong(weight.name, "is quantized, but ignore says that it is not");
      return;
    }
    const Group* group = GroupOf(module);
    if (group == nullptr) {
      if (!TargetsHaveUnknown()) {
        Wrong(weight.name, "is quantized, but no targets name it");
      }
      return;
    }
    if (group->weights == nullptr) {
      Wrong(weight.name, absl::StrCat("is quantized, but ", group->name,
                                      " says that its weights are not"));
      return;
    }
    CompareFormat(weight, *group);
    CompareArguments(weight, *group);
  }

  void CompareFormat(const QuantizedTensor& weight, const Group& group) {
    if (group.format.empty() || group.format == "mixed-precision") return;
    const std::vector<absl::string_view> formats = FormatsOf(weight);
    if (std::find(formats.begin(), formats.end(), group.format) ==
        formats.end()) {
      Wrong(weight.name,
            absl::StrCat("is stored as ", formats[0], ", but ", group.name,
                         " has the format ", JsonExcerpt(Json(group.format))));
    }
  }

  void CompareArguments(const QuantizedTensor& weight, const Group& group) {
    const QuantScheme& scheme = weight.scheme;
    const bool is_float = !HasZeroPoints(scheme.format);
    const auto differ = [&](absl::string_view key, absl::string_view said) {
      Wrong(weight.name, absl::StrCat("is ", SchemeToString(scheme), ", but ",
                                      group.name, " has ", key, " ", said));
    };
    const std::string* type = TextOf(group.weights, "type");
    const bool says_float = type != nullptr && *type == "float";
    if (says_float != is_float) {
      differ("type", type == nullptr ? "\"int\"" : JsonExcerpt(Json(*type)));
      return;
    }
    const int64_t* bits = IntegerOf(group.weights, "num_bits");
    const int64_t said_bits = bits == nullptr ? 8 : *bits;
    const bool one_a_byte = weight.storage == QuantStorage::kIntQuantized;
    if (one_a_byte ? said_bits > 8 : said_bits != BitsOfCode(scheme.format)) {
      differ("num_bits", absl::StrCat(said_bits));
    }
    const bool* symmetric = FlagOf(group.weights, "symmetric");
    const bool said_symmetric = symmetric == nullptr || *symmetric;
    if (!is_float && said_symmetric != scheme.symmetric) {
      differ("symmetric", said_symmetric ? "true" : "false");
    }
    CompareGroups(weight, group, differ);
  }

  template <typename Differ>
  void CompareGroups(const QuantizedTensor& weight, const Group& group,
                     const Differ& differ) {
    const QuantScheme& scheme = weight.scheme;
    const std::string* strategy = TextOf(group.weights, "strategy");
    const int64_t* size = IntegerOf(group.weights, "group_size");
    // A group may be as long as a row, which is then a channel.
    const bool is_channel = strategy != nullptr && *strategy == "group" &&
                            size != nullptr &&
                            scheme.granularity == Granularity::kAxis &&
                            (*size == -1 || *size == weight.shape[1]);
    if (is_channel) return;
    if (strategy != nullptr && *strategy != StrategyOf(scheme)) {
      differ("strategy", JsonExcerpt(Json(*strategy)));
    } else if (scheme.granularity == Granularity::kGroup && size != nullptr &&
               *size != scheme.group_size) {
      differ("group_size", absl::StrCat(*size));
    }
    if (scheme.granularity != Granularity::kBlock) return;
    const Json* block = EntryOf(group.weights, "block_structure");
    if (block == nullptr || !block->is_array() ||
        block->AsArray()->size() != 2) {
      differ("block_structure",
             block == nullptr ? std::string("missing") : JsonExcerpt(*block));
      return;
    }
    for (const size_t i : {0, 1}) {
      const int64_t* side = (*block->AsArray())[i].AsInt();
      const TensorInfo* scales = subject_.Find(weight.scale);
      const int64_t length = weight.shape[i];
      if (side == nullptr || *side < 1 ||
          length / *side + (length % *side != 0) != scales->shape[i]) {
        differ("block_structure", JsonExcerpt(*block));
        return;
      }
    }
  }

  // A matrix of floats, which only the configuration tells from a layer whose
  // codes are missing.
  void CheckFloatWeight(const TensorInfo& tensor) {
    const absl::string_view module = ModuleOfWeight(tensor.name);
    if (ignore_.has_unknown() || ignore_.Has(module) || ignore_.HasLinear()) {
      return;
    }
    const Group* group = GroupOf(module);
    if (group == nullptr || group->weights == nullptr) return;
    // Engines have float layers for the output and for routers of experts.
    const bool may_be_other =
        !group->targets.Has(module) &&
        !ReasonForEngines(tensor, subject_.storage).empty();
    findings_.Add(
        may_be_other ? Severity::kWarning : Severity::kError, kConfig, kFile,
        tensor.name,
        absl::StrCat("is not quantized, but is a target of ", group->name,
                     " and not in ignore, so that codes are looked for"),
        "add the module to ignore");
  }

  void CheckUnused() {
    absl::flat_hash_set<std::string> modules;
    for (const TensorInfo& tensor : subject_.tensors()) {
      absl::string_view name = tensor.name;
      for (size_t dot = name.rfind('.'); dot != absl::string_view::npos;
           dot = name.rfind('.')) {
        name = name.substr(0, dot);
        if (!modules.insert(std::string(name)).second) break;
      }
    }
    const auto tell = [&](absl::string_view key, const ModuleList& list) {
      for (const std::string& entry : list.Unused(modules)) {
        findings_.Warning(
            kConfig, kFile, "",
            absl::StrCat(key, " has ", QuotedName(entry),
                         ", which is no module of the checkpoint"),
            "check its spelling");
      }
    };
    for (const Group& group : groups_) {
      tell(absl::StrCat(group.name, ".targets"), group.targets);
    }
    tell("ignore", ignore_);
  }

  const Subject& subject_;
  const Json& config_;
  Findings& findings_;
  std::vector<Group> groups_;
  ModuleList ignore_;
};

}  // namespace

void CheckCompressedTensorsConfig(const Subject& subject, Findings* findings) {
  Check(subject, findings).Run();
}

}  // namespace monoquant
