#include "frontends/engines/engine_weights.h"

#include "absl/strings/str_cat.h"
#include "frontends/model_config.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr absl::string_view kUse = "says how the weights are quantized";
constexpr absl::string_view kRemedy =
    ", which is not read; dequantize it with the program that wrote it, or "
    "take the tensors as they are with --as-stored";

// What a constant has in it, for messages.
absl::string_view RoleOf(ConstantKind kind) {
  switch (kind) {
    case ConstantKind::kDimensions:
      return "dimensions";
    case ConstantKind::kGroupIndex:
      return "groups of columns";
    case ConstantKind::kZeroPoints:
      return "zero points";
    case ConstantKind::kCodebook:
      return "numbers of codes";
    case ConstantKind::kQuantState:
      return "facts";
    case ConstantKind::kWeightFormat:
      return "order of rows";
    case ConstantKind::kNestedScales:
      return "scales of scales";
    case ConstantKind::kNestedCodebook:
      return "numbers of scales";
  }
  return "";
}

// The part of a message before its remedy.
absl::string_view WithoutRemedy(absl::string_view message) {
  return message.substr(0, message.find("; "));
}

}  // namespace

EngineWeights::EngineWeights(const CheckpointReader& reader,
                             std::string config_name, const Json& config,
                             std::optional<DType> dtype,
                             std::vector<absl::Status>* problems)
    : reader_(reader),
      config_name_(std::move(config_name)),
      config_(config),
      dtype_(dtype),
      problems_(problems) {
  names_.reserve(tensors().size());
  for (size_t i = 0; i < tensors().size(); ++i) names_[tensors()[i].name] = i;
}

const TensorInfo* EngineWeights::Find(absl::string_view name) const {
  const auto it = names_.find(name);
  return it == names_.end() ? nullptr : &tensors()[it->second];
}

size_t EngineWeights::NumberOf(const TensorInfo& tensor) const {
  return static_cast<size_t>(&tensor - tensors().data());
}

absl::StatusOr<const TensorInfo*> EngineWeights::FindPart(
    const TensorInfo& codes, absl::string_view role,
    absl::string_view name) const {
  const TensorInfo* part = Find(name);
  if (part != nullptr) return part;
  return Damaged(codes,
                 absl::StrCat("its ", role, " ", QuotedName(name),
                              " are missing; the checkpoint is incomplete, "
                              "download or copy all of it again"));
}

const Json* EngineWeights::Entry(absl::string_view key) const {
  const Json* entry = config_.Find(key);
  return entry == nullptr || entry->is_null() ? nullptr : entry;
}

absl::StatusOr<std::optional<int64_t>> EngineWeights::Integer(
    absl::string_view key) const {
  const Json* entry = Entry(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->AsInt() != nullptr) return *entry->AsInt();
  return ConfigDamaged(absl::StrCat(key, " is ", JsonExcerpt(*entry),
                                    ", expected a whole number"));
}

absl::StatusOr<std::optional<bool>> EngineWeights::Bool(
    absl::string_view key) const {
  const Json* entry = Entry(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->AsBool() != nullptr) return *entry->AsBool();
  return ConfigDamaged(absl::StrCat(key, " is ", JsonExcerpt(*entry),
                                    ", expected true or false"));
}

absl::StatusOr<std::optional<std::string>> EngineWeights::Text(
    absl::string_view key) const {
  const Json* entry = Entry(key);
  if (entry == nullptr) return std::nullopt;
  if (entry->AsString() != nullptr) return *entry->AsString();
  return ConfigDamaged(
      absl::StrCat(key, " is ", JsonExcerpt(*entry), ", expected a text"));
}

absl::Status EngineWeights::CheckPart(const TensorInfo& codes,
                                      absl::string_view role,
                                      const StoredPart& part) const {
  MQ_ASSIGN_OR_RETURN(const TensorInfo* const found,
                      FindPart(codes, role, part.name));
  if (found->dtype == part.dtype && CanHaveShape(part, found->shape)) {
    return absl::OkStatus();
  }
  return Damaged(
      codes, absl::StrCat("its ", role, " ", QuotedName(part.name), " are ",
                          DescribeStored(*found), ", expected ",
                          DTypeName(part.dtype), " ", ShapeToString(part.shape),
                          "; check that both are of one checkpoint"));
}

absl::StatusOr<bool> EngineWeights::CheckParts(const TensorInfo& codes,
                                               const StoredWeight& stored) {
  bool all = true;
  const auto check = [&](absl::string_view role, const StoredPart& part) {
    absl::Status status = CheckPart(codes, role, part);
    all &= status.ok();
    return Tell(std::move(status));
  };
  MQ_RETURN_IF_ERROR(check("codes", stored.codes));
  if (stored.scale.has_value()) {
    MQ_RETURN_IF_ERROR(check("scales", *stored.scale));
  }
  if (stored.zero_point.has_value()) {
    MQ_RETURN_IF_ERROR(check("zero points", *stored.zero_point));
  }
  if (stored.global_scale.has_value()) {
    MQ_RETURN_IF_ERROR(check("global scales", *stored.global_scale));
  }
  for (const StoredConstant& constant : stored.constants) {
    MQ_RETURN_IF_ERROR(check(RoleOf(constant.kind), constant.part));
  }
  return all;
}

absl::Status EngineWeights::Add(const TensorInfo& codes, absl::string_view name,
                                const QuantScheme& scheme, QuantStorage storage,
                                Shape shape, DType dtype) {
  return AddOfType(codes, name, scheme, storage, std::move(shape),
                   dtype_.value_or(dtype));
}

absl::Status EngineWeights::AddOfType(const TensorInfo& codes,
                                      absl::string_view name,
                                      const QuantScheme& scheme,
                                      QuantStorage storage, Shape shape,
                                      DType dtype) {
  const absl::StatusOr<ParamLayout> layout = ComputeParamLayout(scheme, shape);
  if (!layout.ok()) {
    return Damaged(codes, WithoutRemedy(layout.status().message()));
  }
  absl::StatusOr<StoredWeight> stored =
      StoreWeight(storage, name, scheme, shape);
  if (!stored.ok()) {
    return NotRead(codes, WithoutRemedy(stored.status().message()));
  }
  while (!stored->constants.empty() && stored->constants.back().optional &&
         Find(stored->constants.back().part.name) == nullptr) {
    stored->constants.pop_back();
  }
  MQ_ASSIGN_OR_RETURN(const bool whole, CheckParts(codes, *stored));
  if (!whole) return absl::OkStatus();
  if (name != codes.name && Find(name) != nullptr) {
    return Damaged(codes, absl::StrCat("holds the codes of ", QuotedName(name),
                                       ", which is there by itself; remove "
                                       "the one that is not meant"));
  }
  weights_.push_back(
      RecordOf(name, scheme, storage, *stored, dtype, std::move(shape)));
  return absl::OkStatus();
}

absl::Status EngineWeights::Tell(absl::Status status) {
  constexpr size_t kMaxProblems = 1000;
  const bool is_of_weight =
      absl::IsDataLoss(status) || absl::IsUnimplemented(status);
  if (problems_ == nullptr || !is_of_weight ||
      problems_->size() + 1 >= kMaxProblems) {
    return status;
  }
  problems_->push_back(std::move(status));
  return absl::OkStatus();
}

absl::Status EngineWeights::Damaged(const TensorInfo& tensor,
                                    absl::string_view what) const {
  return DataLossError(reader_.index().path, ": tensor ",
                       QuotedName(tensor.name), ": ", what);
}

absl::Status EngineWeights::NotRead(const TensorInfo& tensor,
                                    absl::string_view what) const {
  return UnimplementedError(reader_.index().path, ": tensor ",
                            QuotedName(tensor.name), ": ", what, kRemedy);
}

absl::Status EngineWeights::ConfigNotRead(absl::string_view what) const {
  return UnimplementedError(config_name_, ": quantization_config: ", what,
                            kRemedy);
}

absl::Status EngineWeights::ConfigDamaged(absl::string_view what) const {
  return BadConfig(config_name_, absl::StrCat("quantization_config: ", what),
                   kUse);
}

std::string DescribeStored(const TensorInfo& tensor) {
  return absl::StrCat(DTypeName(tensor.dtype), " ",
                      ShapeToString(tensor.shape));
}

}  // namespace monoquant
