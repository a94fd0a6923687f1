#include "frontends/engines/torchao.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "absl/types/span.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"
#include "ir/torchao_metadata.h"

namespace monoquant {
namespace {

constexpr absl::string_view kSameCheckpoint =
    "; check that both are of one checkpoint";

constexpr absl::string_view kInt8 = "Int8Tensor";
constexpr absl::string_view kFloat8 = "Float8Tensor";
constexpr absl::string_view kIntx = "IntxUnpackedToInt8Tensor";

// The parts of a weight that are read.
constexpr absl::string_view kCodes = "qdata";
constexpr absl::string_view kScales = "scale";
constexpr absl::string_view kZeroPoints = "zero_point";

// ---------------------------------------------------------- the metadata --

using Entry = std::pair<std::string, std::string>;

// What the metadata describes, by the tensors that are there.
struct Described {
  // Of parts of weights.
  absl::flat_hash_map<const TensorInfo*, const Entry*> parts;
  // Of tensors that have no parts, or are said to have some.
  absl::flat_hash_map<const TensorInfo*, const Entry*> whole;
};

Described Describe(const EngineWeights& weights) {
  Described described;
  for (const Entry& entry : weights.reader().index().metadata) {
    const absl::StatusOr<Json> description = ParseJson(entry.second);
    if (!description.ok() || TorchaoClassOf(*description) == nullptr) continue;
    const TensorInfo* whole = weights.Find(entry.first);
    if (whole != nullptr) described.whole.emplace(whole, &entry);
    if (*TorchaoClassOf(*description) == kTorchaoPlainClass) continue;
    const std::string beginning = TorchaoPartsOf(entry.first);
    if (beginning.empty()) continue;
    for (const absl::string_view part : TorchaoPartsListed(*description)) {
      const TensorInfo* found = weights.Find(absl::StrCat(beginning, part));
      if (found != nullptr) described.parts.emplace(found, &entry);
    }
  }
  return described;
}

// ----------------------------------------------------- the configuration --

// Whether the configuration has a way to map weights to integers, and no other
// than symmetric ones.
bool IsSymmetric(const Json& config) {
  bool found = false;
  std::vector<const Json*> left = {&config};
  while (!left.empty()) {
    const Json& json = *left.back();
    left.pop_back();
    if (json.is_array()) {
      for (const Json& element : *json.AsArray()) left.push_back(&element);
    }
    if (!json.is_object()) continue;
    for (const auto& [key, value] : *json.AsObject()) {
      left.push_back(&value);
      if (key != "mapping_type" && key != "weight_mapping_type") continue;
      const Json* name = value.Find("_data");
      if (name == nullptr || name->AsString() == nullptr ||
          !absl::StartsWith(*name->AsString(), "SYMMETRIC")) {
        return false;
      }
      found = true;
    }
  }
  return found;
}

// ----------------------------------------------------------- the weights --

// What the metadata says of a weight.
struct Facts {
  NumberFormat format = NumberFormat::kInt8;
  DType dtype = DType::kF32;
  // Empty where nothing is said.
  Shape block;
};

absl::Status WrongFact(const EngineWeights& weights, const TensorInfo& codes,
                       absl::string_view key, const Json* found) {
  return weights.Damaged(
      codes, absl::StrCat("the metadata says that its ", key, " is ",
                          found == nullptr ? "nothing" : JsonExcerpt(*found),
                          ", which it cannot be; download or copy the "
                          "checkpoint again"));
}

// The name in {"_type": "torch.dtype", "_data": NAME}; nullptr if there is
// none.
const std::string* TypeName(const Json* json) {
  const Json* name = json == nullptr ? nullptr : json->Find("_data");
  return name == nullptr ? nullptr : name->AsString();
}

// How many bits the values have that lie in bytes.
absl::StatusOr<NumberFormat> IntegerFormat(const EngineWeights& weights,
                                           const TensorInfo& codes,
                                           const Json* target) {
  const std::string* name = TypeName(target);
  for (int bits = 1; name != nullptr && bits <= 8; ++bits) {
    if (*name != absl::StrCat("int", bits)) continue;
    return bits <= 4 ? NumberFormat::kInt4 : NumberFormat::kInt8;
  }
  return WrongFact(weights, codes, "target_dtype", target);
}

absl::StatusOr<NumberFormat> FormatOf(const EngineWeights& weights,
                                      const TensorInfo& codes,
                                      absl::string_view type,
                                      const Json& data) {
  if (type == kFloat8) {
    if (codes.dtype == DType::kF8E4M3) return NumberFormat::kFp8E4M3;
    if (codes.dtype == DType::kF8E5M2) return NumberFormat::kFp8E5M2;
    return weights.NotRead(
        codes, absl::StrCat("is ", DescribeStored(codes), " of a ", type));
  }
  if (codes.dtype != DType::kI8) {
    return weights.Damaged(
        codes, absl::StrCat("is ", DescribeStored(codes),
                            ", but the metadata says that it is of an ", type,
                            ", which has I8", kSameCheckpoint));
  }
  if (type == kInt8) return NumberFormat::kInt8;
  return IntegerFormat(weights, codes, data.Find("target_dtype"));
}

absl::StatusOr<Facts> ReadFacts(const EngineWeights& weights,
                                const TensorInfo& codes, absl::string_view type,
                                const Json& data) {
  Facts facts;
  MQ_ASSIGN_OR_RETURN(facts.format, FormatOf(weights, codes, type, data));
  const Json* dtype = data.Find("dtype");
  const std::string* name = TypeName(dtype);
  const std::optional<DType> known =
      name == nullptr ? std::nullopt : DTypeFromTorchName(*name);
  if (!known.has_value() || !IsQuantizable(*known)) {
    return WrongFact(weights, codes, "dtype", dtype);
  }
  facts.dtype = *known;
  const Json* block = data.Find("block_size");
  if (block == nullptr || block->is_null()) return facts;
  if (!block->is_array()) {
    return WrongFact(weights, codes, "block_size", block);
  }
  for (const Json& size : *block->AsArray()) {
    if (size.AsInt() == nullptr || *size.AsInt() < 1) {
      return WrongFact(weights, codes, "block_size", block);
    }
    facts.block.push_back(*size.AsInt());
  }
  return facts;
}

// Rows and columns that share a scale.
absl::StatusOr<Shape> BlockOf(const EngineWeights& weights,
                              const TensorInfo& codes, const TensorInfo& scale,
                              const Facts& facts) {
  Shape block;
  for (size_t i = 0; i < 2 && scale.shape.size() == 2; ++i) {
    if (scale.shape[i] < 1 || codes.shape[i] < 1 ||
        codes.shape[i] % scale.shape[i] != 0) {
      break;
    }
    block.push_back(codes.shape[i] / scale.shape[i]);
  }
  if (block.size() != 2) {
    return weights.Damaged(
        codes, absl::StrCat("its scales ", QuotedName(scale.name), " are ",
                            DescribeStored(scale), ", which do not divide ",
                            ShapeToString(codes.shape), kSameCheckpoint));
  }
  if (facts.block.empty() || facts.block == block) return block;
  return weights.Damaged(
      codes,
      absl::StrCat("its scales ", QuotedName(scale.name), " are for blocks of ",
                   ShapeToString(block), ", but the metadata says ",
                   ShapeToString(facts.block), kSameCheckpoint));
}

absl::StatusOr<QuantScheme> SchemeOf(const EngineWeights& weights,
                                     const TensorInfo& codes,
                                     const TensorInfo& scale,
                                     const Facts& facts) {
  if (codes.shape.size() != 2) {
    return weights.NotRead(codes, absl::StrCat("is ", DescribeStored(codes)));
  }
  if (!IsScaleDType(scale.dtype)) {
    return weights.NotRead(
        codes, absl::StrCat("has scales of ", DTypeName(scale.dtype)));
  }
  MQ_ASSIGN_OR_RETURN(const Shape block, BlockOf(weights, codes, scale, facts));
  QuantScheme scheme;
  scheme.format = facts.format;
  scheme.scale_dtype = scale.dtype;
  if (block[0] == 1 && block[1] == codes.shape[1]) {
    scheme.granularity = Granularity::kAxis;
  } else if (block[0] == 1) {
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = block[1];
  } else if (block == codes.shape) {
    scheme.granularity = Granularity::kTensor;
  } else if (block[0] == block[1]) {
    scheme.granularity = Granularity::kBlock;
    scheme.group_size = block[1];
  } else {
    return weights.NotRead(
        codes, absl::StrCat("has blocks of ", ShapeToString(block)));
  }
  return scheme;
}

// Nothing lies beside the codes that changes what they stand for.
absl::Status CheckParts(const EngineWeights& weights, const TensorInfo& codes,
                        absl::string_view beginning, const Json& description) {
  for (const absl::string_view part : TorchaoPartsListed(description)) {
    if (part == kCodes || part == kScales || part == kZeroPoints) continue;
    return weights.NotRead(
        codes, absl::StrCat("has ", QuotedName(absl::StrCat(beginning, part)),
                            " beside its scales"));
  }
  return absl::OkStatus();
}

// The zero points of integers; nullptr if there are none.
absl::StatusOr<const TensorInfo*> FindZeroPoints(const EngineWeights& weights,
                                                 const TensorInfo& codes,
                                                 absl::string_view beginning,
                                                 const Json& description) {
  const std::vector<absl::string_view> listed = TorchaoPartsListed(description);
  if (std::find(listed.begin(), listed.end(), kZeroPoints) == listed.end()) {
    return nullptr;
  }
  MQ_ASSIGN_OR_RETURN(const TensorInfo* const found,
                      weights.FindPart(codes, "zero points",
                                       absl::StrCat(beginning, kZeroPoints)));
  if (IsQuantizable(found->dtype)) {
    return weights.NotRead(
        codes, absl::StrCat("has zero points of ", DTypeName(found->dtype)));
  }
  return found;
}

absl::Status AddWeight(const TensorInfo& codes, absl::string_view name,
                       const Json& description, EngineWeights* weights) {
  const std::string& type = *TorchaoClassOf(description);
  const std::string beginning = TorchaoPartsOf(name);
  const Json* data = description.Find("_data");
  if (data == nullptr || !data->is_object()) {
    return WrongFact(*weights, codes, "_data", data);
  }
  MQ_RETURN_IF_ERROR(CheckParts(*weights, codes, beginning, description));
  MQ_ASSIGN_OR_RETURN(const Facts facts,
                      ReadFacts(*weights, codes, type, *data));
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scale,
      weights->FindPart(codes, "scales", absl::StrCat(beginning, kScales)));
  MQ_ASSIGN_OR_RETURN(QuantScheme scheme,
                      SchemeOf(*weights, codes, *scale, facts));
  MQ_ASSIGN_OR_RETURN(const TensorInfo* const zero_points,
                      FindZeroPoints(*weights, codes, beginning, description));
  if (type == kIntx && zero_points != nullptr) {
    scheme.symmetric = IsSymmetric(weights->config());
  }
  const bool as_written =
      (type == kFloat8 || zero_points != nullptr) &&
      StoreWeight(QuantStorage::kTorchao, name, scheme, codes.shape).ok();
  return weights->AddOfType(
      codes, name, scheme,
      as_written ? QuantStorage::kTorchao : QuantStorage::kTorchaoBlocks,
      codes.shape, facts.dtype);
}

// A tensor that a description has as a part.
absl::Status ReadPart(const TensorInfo& part, const Entry& entry,
                      EngineWeights* weights) {
  MQ_ASSIGN_OR_RETURN(const Json description, ParseJson(entry.second));
  const std::string& type = *TorchaoClassOf(description);
  if (type != kInt8 && type != kFloat8 && type != kIntx) {
    return weights->NotRead(
        part, absl::StrCat("is a part of ", QuotedName(entry.first),
                           ", which is of torchao's class ",
                           JsonExcerpt(Json(type))));
  }
  const std::string codes = absl::StrCat(TorchaoPartsOf(entry.first), kCodes);
  if (part.name == codes) {
    return AddWeight(part, entry.first, description, weights);
  }
  if (weights->Find(codes) != nullptr) return absl::OkStatus();
  return weights->Damaged(
      part, absl::StrCat("belongs to ", QuotedName(codes),
                         ", which is missing; the checkpoint is incomplete, "
                         "download or copy all of it again"));
}

// A tensor that is there under its own name.
absl::Status CheckIsPlain(const TensorInfo& tensor, const Entry& entry,
                          const EngineWeights& weights) {
  MQ_ASSIGN_OR_RETURN(const Json description, ParseJson(entry.second));
  if (*TorchaoClassOf(description) == kTorchaoPlainClass)
    return absl::OkStatus();
  return weights.Damaged(
      tensor,
      absl::StrCat("is there by itself, but the metadata says that it is of "
                   "the class ",
                   JsonExcerpt(Json(*TorchaoClassOf(description))),
                   ", which has parts", kSameCheckpoint));
}

// Whether a tensor can be nothing but a part of a weight.
bool LooksLikePart(absl::string_view name) {
  const absl::string_view last = name.substr(name.rfind('.') + 1);
  return (absl::StartsWith(last, "_") && absl::EndsWith(last, "_qdata")) ||
         last == "_weight_scale" || last == "_weight_zero_point";
}

}  // namespace

absl::Status FindTorchaoWeights(EngineWeights* weights) {
  const Described described = Describe(*weights);
  for (const TensorInfo& tensor : weights->tensors()) {
    const auto part = described.parts.find(&tensor);
    const auto whole = described.whole.find(&tensor);
    absl::Status status;
    if (part != described.parts.end()) {
      status = ReadPart(tensor, *part->second, weights);
    } else if (whole != described.whole.end()) {
      status = CheckIsPlain(tensor, *whole->second, *weights);
    } else if (LooksLikePart(tensor.name)) {
      status = weights->Damaged(
          tensor,
          "is a part of a weight that the metadata does not describe; "
          "download or copy the checkpoint again");
    }
    MQ_RETURN_IF_ERROR(weights->Tell(std::move(status)));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
