#include "ir/quant_record.h"

#include <algorithm>
#include <initializer_list>
#include <iterator>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// ------------------------------------------------------------------- JSON --

absl::Status WrongMember(absl::string_view name, absl::string_view expected,
                         const Json* found) {
  return InvalidArgumentError(
      "quantization record: \"", name, "\" must be ", expected, ", ",
      found == nullptr ? "it is missing"
                       : absl::StrCat("found ", JsonExcerpt(*found)));
}

absl::Status CheckMembers(const Json& json, absl::string_view what,
                          std::initializer_list<absl::string_view> known) {
  if (!json.is_object()) return WrongMember(what, "an object", &json);
  for (const Json::Member& member : *json.AsObject()) {
    bool found = false;
    for (absl::string_view name : known) found |= name == member.first;
    if (!found) {
      return InvalidArgumentError(
          "quantization record: unknown member ", JsonExcerpt(member.first),
          " in \"", what,
          "\"; a newer monoquant may have written the file, update");
    }
  }
  return absl::OkStatus();
}

absl::Status ReadString(const Json& json, absl::string_view name,
                        std::string* value) {
  const Json* member = json.Find(name);
  if (member == nullptr || member->AsString() == nullptr) {
    return WrongMember(name, "a string", member);
  }
  *value = *member->AsString();
  return absl::OkStatus();
}

Json ShapeToJson(const Shape& shape) {
  Json json{Json::Array()};
  for (int64_t dim : shape) json.Append(dim);
  return json;
}

absl::Status ReadShape(const Json& json, Shape* shape) {
  const Json* member = json.Find("shape");
  if (member == nullptr || !member->is_array()) {
    return WrongMember("shape", "an array", member);
  }
  for (const Json& dim : *member->AsArray()) {
    if (dim.AsInt() == nullptr) {
      return WrongMember("shape", "an array of integers", member);
    }
    shape->push_back(*dim.AsInt());
  }
  return NumElements(*shape).status();
}

Json TensorToJson(const QuantizedTensor& tensor) {
  Json json;
  json.Set("name", tensor.name);
  json.Set("dtype", DTypeName(tensor.dtype));
  json.Set("shape", ShapeToJson(tensor.shape));
  json.Set("scheme", SchemeToJson(tensor.scheme));
  if (tensor.storage != QuantStorage::kPlain) {
    json.Set("storage", StorageName(tensor.storage));
  }
  const auto add = [&json](const char* key, const std::string& name) {
    if (!name.empty()) json.Set(key, name);
  };
  add("codes", tensor.codes);
  add("scale", tensor.scale);
  add("zero_point", tensor.zero_point);
  add("global_scale", tensor.global_scale);
  if (!tensor.constants.empty()) {
    Json constants{Json::Array()};
    for (const std::string& name : tensor.constants) constants.Append(name);
    json.Set("constants", std::move(constants));
  }
  return json;
}

// Reads the name of a stored tensor, which is there if `expected`.
absl::Status ReadPart(const Json& json, absl::string_view key, bool expected,
                      std::string* name) {
  if (expected) return ReadString(json, key, name);
  const Json* member = json.Find(key);
  if (member == nullptr) return absl::OkStatus();
  return WrongMember(key, "absent for this scheme", member);
}

// How many constants a weight must have of those that it can have.
size_t NeededConstants(const StoredWeight& stored) {
  return static_cast<size_t>(std::count_if(
      stored.constants.begin(), stored.constants.end(),
      [](const StoredConstant& constant) { return !constant.optional; }));
}

// The same for the names of `needed` tensors, or of more up to `most`.
absl::Status ReadParts(const Json& json, absl::string_view key, size_t needed,
                       size_t most, std::vector<std::string>* names) {
  const Json* member = json.Find(key);
  const size_t found =
      member == nullptr || !member->is_array() ? 0 : member->AsArray()->size();
  if (found < needed || found > most || (member != nullptr && found == 0)) {
    return WrongMember(key, absl::StrCat("an array of ", most, " names"),
                       member);
  }
  if (found == 0) return absl::OkStatus();
  for (const Json& name : *member->AsArray()) {
    if (name.AsString() == nullptr) {
      return WrongMember(key, "an array of names", member);
    }
    names->push_back(*name.AsString());
  }
  return absl::OkStatus();
}

absl::StatusOr<QuantizedTensor> TensorFromJson(const Json& json) {
  MQ_RETURN_IF_ERROR(
      CheckMembers(json, "tensors",
                   {"name", "dtype", "shape", "scheme", "storage", "codes",
                    "scale", "zero_point", "global_scale", "constants"}));
  QuantizedTensor tensor;
  MQ_RETURN_IF_ERROR(ReadString(json, "name", &tensor.name));

  std::string dtype_name;
  MQ_RETURN_IF_ERROR(ReadString(json, "dtype", &dtype_name));
  const std::optional<DType> dtype = DTypeFromName(dtype_name);
  if (!dtype.has_value() || !IsQuantizable(*dtype)) {
    return WrongMember("dtype", "F16, BF16, F32 or F64", json.Find("dtype"));
  }
  tensor.dtype = *dtype;
  MQ_RETURN_IF_ERROR(ReadShape(json, &tensor.shape));

  const Json* scheme = json.Find("scheme");
  if (scheme == nullptr) return WrongMember("scheme", "an object", nullptr);
  MQ_ASSIGN_OR_RETURN(tensor.scheme, SchemeFromJson(*scheme));
  if (const Json* storage = json.Find("storage")) {
    const std::string* name = storage->AsString();
    const auto found = name == nullptr ? std::nullopt : StorageFromName(*name);
    if (!found.has_value()) {
      return WrongMember("storage", absl::StrCat("one of ", StorageNames()),
                         storage);
    }
    tensor.storage = *found;
  }

  absl::StatusOr<StoredWeight> stored =
      StoreWeight(tensor.storage, tensor.name, tensor.scheme, tensor.shape);
  if (!stored.ok()) {
    return InvalidArgumentError("quantization record: tensor ",
                                QuotedName(tensor.name), ": ",
                                stored.status().message());
  }
  MQ_RETURN_IF_ERROR(ReadPart(json, "codes", stored->codes.name != tensor.name,
                              &tensor.codes));
  MQ_RETURN_IF_ERROR(
      ReadPart(json, "scale", stored->scale.has_value(), &tensor.scale));
  MQ_RETURN_IF_ERROR(ReadPart(
      json, "zero_point", stored->zero_point.has_value(), &tensor.zero_point));
  MQ_RETURN_IF_ERROR(ReadPart(json, "global_scale",
                              stored->global_scale.has_value(),
                              &tensor.global_scale));
  MQ_RETURN_IF_ERROR(ReadParts(json, "constants", NeededConstants(*stored),
                               stored->constants.size(), &tensor.constants));
  return tensor;
}

// ------------------------------------------------------------- validation --

absl::Status Mismatch(absl::string_view tensor, absl::string_view reason) {
  return DataLossError("quantization record: tensor ", QuotedName(tensor), ": ",
                       reason);
}

using TensorsByName =
    absl::flat_hash_map<absl::string_view, const StoredTensor*>;

// Checks that the tensor called `name`, which is `role` of `owner`, is stored
// as `part` says, or with the shape `other`, if that is given. Without a part
// there must be no name.
absl::Status CheckPart(const TensorsByName& tensors, absl::string_view owner,
                       absl::string_view role, absl::string_view name,
                       const std::optional<StoredPart>& part,
                       const std::optional<Shape>& other = std::nullopt) {
  if (!part.has_value()) {
    if (name.empty()) return absl::OkStatus();
    return Mismatch(owner,
                    absl::StrCat("it has ", role, " in ", QuotedName(name),
                                 ", but its scheme has none"));
  }
  const auto it = tensors.find(name);
  if (it == tensors.end()) {
    return Mismatch(owner,
                    absl::StrCat("the file has no tensor ", QuotedName(name),
                                 ", which should hold its ", role));
  }
  const StoredTensor& stored = *it->second;
  if (stored.dtype != part->dtype) {
    return Mismatch(owner, absl::StrCat("its ", role, " in ", QuotedName(name),
                                        " are ", DTypeName(stored.dtype),
                                        ", expected ", DTypeName(part->dtype)));
  }
  const bool fits =
      CanHaveShape(*part, stored.shape) ||
      (other.has_value() && stored.shape == absl::MakeConstSpan(*other));
  if (fits) return absl::OkStatus();
  return Mismatch(owner,
                  absl::StrCat("its ", role, " in ", QuotedName(name),
                               " have shape ", ShapeToString(stored.shape),
                               ", expected ", ShapeToString(part->shape)));
}

absl::Status CheckTensor(const QuantizedTensor& tensor,
                         const TensorsByName& tensors) {
  if (!IsQuantizable(tensor.dtype)) {
    return Mismatch(
        tensor.name,
        absl::StrCat("its original dtype is said to be ",
                     DTypeName(tensor.dtype), ", which cannot be quantized"));
  }
  if (!tensor.scheme.symmetric && HasScales(tensor.scheme.format) &&
      !HasZeroPoints(tensor.scheme.format)) {
    return Mismatch(
        tensor.name,
        absl::StrCat("format ", NumberFormatName(tensor.scheme.format),
                     " is said to be asymmetric, which it cannot "
                     "be"));
  }
  const absl::StatusOr<ParamLayout> layout =
      ComputeParamLayout(tensor.scheme, tensor.shape);
  if (!layout.ok()) return Mismatch(tensor.name, layout.status().message());
  const absl::StatusOr<StoredWeight> stored =
      StoreWeight(tensor.storage, tensor.name, tensor.scheme, tensor.shape);
  if (!stored.ok()) return Mismatch(tensor.name, stored.status().message());
  const bool plain = tensor.storage == QuantStorage::kPlain;
  MQ_RETURN_IF_ERROR(CheckPart(tensors, tensor.name, "codes",
                               tensor.codes_name(), stored->codes));
  MQ_RETURN_IF_ERROR(
      CheckPart(tensors, tensor.name, "scales", tensor.scale, stored->scale));
  MQ_RETURN_IF_ERROR(CheckPart(
      tensors, tensor.name, "zero points", tensor.zero_point,
      stored->zero_point,
      plain ? std::make_optional(layout->param_shape) : std::nullopt));
  MQ_RETURN_IF_ERROR(CheckPart(tensors, tensor.name, "global scales",
                               tensor.global_scale, stored->global_scale));
  if (tensor.constants.size() < NeededConstants(*stored) ||
      tensor.constants.size() > stored->constants.size()) {
    return Mismatch(
        tensor.name,
        absl::StrCat("it has ", tensor.constants.size(),
                     " constants, expected ", stored->constants.size()));
  }
  for (size_t i = 0; i < tensor.constants.size(); ++i) {
    MQ_RETURN_IF_ERROR(CheckPart(tensors, tensor.name, "constants",
                                 tensor.constants[i],
                                 stored->constants[i].part));
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<absl::string_view> QuantizedTensor::part_names() const {
  std::vector<absl::string_view> names;
  if (!scale.empty()) names.push_back(scale);
  if (!zero_point.empty()) names.push_back(zero_point);
  if (!global_scale.empty()) names.push_back(global_scale);
  names.insert(names.end(), constants.begin(), constants.end());
  return names;
}

QuantizedTensor RecordOf(absl::string_view name, const QuantScheme& scheme,
                         QuantStorage storage, const StoredWeight& stored,
                         DType dtype, Shape shape) {
  const auto name_of = [](const std::optional<StoredPart>& part) {
    return part.has_value() ? part->name : std::string();
  };
  QuantizedTensor record;
  record.name = std::string(name);
  record.scheme = scheme;
  record.dtype = dtype;
  record.shape = std::move(shape);
  record.scale = name_of(stored.scale);
  record.zero_point = name_of(stored.zero_point);
  record.global_scale = name_of(stored.global_scale);
  record.storage = storage;
  if (stored.codes.name != name) record.codes = stored.codes.name;
  for (const StoredConstant& constant : stored.constants) {
    record.constants.push_back(constant.part.name);
  }
  return record;
}

std::string QuantRecordToJson(const QuantRecord& record) {
  Json source;
  source.Set("container", record.source_container);
  source.Set("name", record.source_name);
  Json json;
  json.Set("version", record.version);
  json.Set("source", std::move(source));
  absl::StatusOr<Json> recipe = ParseJson(record.recipe);
  if (recipe.ok() && recipe->is_object()) {
    json.Set("recipe", *std::move(recipe));
  }
  Json tensors{Json::Array()};
  for (const QuantizedTensor& tensor : record.tensors) {
    tensors.Append(TensorToJson(tensor));
  }
  json.Set("tensors", std::move(tensors));
  return json.ToString();
}

absl::StatusOr<QuantRecord> QuantRecordFromJson(absl::string_view text) {
  absl::StatusOr<Json> parsed = ParseJson(text);
  if (!parsed.ok()) {
    return InvalidArgumentError("quantization record: ",
                                parsed.status().message());
  }
  const Json json = *std::move(parsed);
  MQ_RETURN_IF_ERROR(
      CheckMembers(json, "record", {"version", "source", "recipe", "tensors"}));

  QuantRecord record;
  MQ_RETURN_IF_ERROR(ReadString(json, "version", &record.version));
  if (record.version.empty()) {
    return WrongMember("version", "a version", json.Find("version"));
  }
  const Json* source = json.Find("source");
  if (source == nullptr) return WrongMember("source", "an object", nullptr);
  MQ_RETURN_IF_ERROR(CheckMembers(*source, "source", {"container", "name"}));
  MQ_RETURN_IF_ERROR(
      ReadString(*source, "container", &record.source_container));
  MQ_RETURN_IF_ERROR(ReadString(*source, "name", &record.source_name));
  if (const Json* recipe = json.Find("recipe")) {
    if (!recipe->is_object()) return WrongMember("recipe", "an object", recipe);
    record.recipe = recipe->ToString();
  }
  const Json* tensors = json.Find("tensors");
  if (tensors == nullptr || !tensors->is_array()) {
    return WrongMember("tensors", "an array", tensors);
  }
  for (const Json& tensor : *tensors->AsArray()) {
    absl::StatusOr<QuantizedTensor> read = TensorFromJson(tensor);
    if (!read.ok()) return read.status();
    record.tensors.push_back(*std::move(read));
  }
  return record;
}

absl::Status CheckHasWriter(const QuantRecord& record) {
  if (!record.version.empty() || record.tensors.empty()) {
    return absl::OkStatus();
  }
  return FailedPreconditionError(
      "tensor ", QuotedName(record.tensors.front().name),
      ": was quantized by another program, and the quantization record does "
      "not say who writes it now; plan the output with MakeCopyPlan");
}

absl::Status MergeQuantRecord(QuantRecord part, QuantRecord* record) {
  if (record->empty()) {
    *record = std::move(part);
    return absl::OkStatus();
  }
  absl::string_view differs;
  if (part.version != record->version) differs = "version";
  if (part.source_container != record->source_container ||
      part.source_name != record->source_name) {
    differs = "source";
  }
  if (part.recipe != record->recipe) differs = "recipe";
  if (!differs.empty()) {
    return DataLossError(
        "quantization record: its ", differs,
        " differs from that of another shard; the shards are not "
        "of one run");
  }
  record->tensors.insert(record->tensors.end(),
                         std::make_move_iterator(part.tensors.begin()),
                         std::make_move_iterator(part.tensors.end()));
  return absl::OkStatus();
}

absl::Status ValidateQuantRecord(const QuantRecord& record,
                                 absl::Span<const StoredTensor> tensors) {
  TensorsByName by_name;
  by_name.reserve(tensors.size());
  for (const StoredTensor& tensor : tensors) by_name[tensor.name] = &tensor;

  absl::flat_hash_set<absl::string_view> weights;
  absl::flat_hash_set<absl::string_view> codes;
  codes.reserve(record.tensors.size());
  for (const QuantizedTensor& tensor : record.tensors) {
    if (!weights.insert(tensor.name).second ||
        !codes.insert(tensor.codes_name()).second) {
      return Mismatch(tensor.name, "it is listed twice");
    }
    MQ_RETURN_IF_ERROR(CheckTensor(tensor, by_name));
  }
  for (const QuantizedTensor& tensor : record.tensors) {
    if (!tensor.codes.empty() && by_name.contains(tensor.name)) {
      return Mismatch(
          tensor.name,
          absl::StrCat("its codes lie in ", QuotedName(tensor.codes),
                       ", but there is a tensor of its name"));
    }
    const auto names = tensor.part_names();
    for (size_t i = 0; i < names.size(); ++i) {
      if (codes.contains(names[i])) {
        return Mismatch(tensor.name, absl::StrCat("its parameters lie in ",
                                                  QuotedName(names[i]),
                                                  ", which holds codes"));
      }
      for (size_t j = 0; j < i; ++j) {
        if (names[i] != names[j]) continue;
        return Mismatch(tensor.name,
                        absl::StrCat("two of its parameters lie in ",
                                     QuotedName(names[i])));
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
