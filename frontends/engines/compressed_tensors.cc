#include "frontends/engines/compressed_tensors.h"

#include <cstdint>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

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

namespace monoquant {
namespace {

constexpr absl::string_view kWeight = ".weight";
constexpr absl::string_view kPacked = ".weight_packed";
constexpr absl::string_view kSameCheckpoint =
    "; check that both are of one checkpoint";

// ------------------------------------------------------ the configuration --

// What config_groups has of weights, whatever its targets.
struct WeightArguments {
  // Bits and group size (0 where there are no groups) of integers.
  std::set<std::tuple<int64_t, int64_t>> integers;
  std::set<int64_t> floats;  // bits
};

bool IsEmptyObject(const Json& json) {
  return json.is_object() && json.AsObject()->empty();
}

bool HasEntries(const Json* json) {
  return json != nullptr && !json->is_null() && !IsEmptyObject(*json);
}

// What changes weights beyond codes and scales.
absl::Status CheckNothingElse(const EngineWeights& weights) {
  const Json* sparsity = weights.config().Find("sparsity_config");
  if (HasEntries(sparsity)) {
    const Json* format = sparsity->Find("format");
    const bool dense = format != nullptr && format->AsString() != nullptr &&
                       *format->AsString() == "dense";
    if (!dense) return weights.ConfigNotRead("a sparsity_config");
  }
  const Json* transforms = weights.config().Find("transform_config");
  if (HasEntries(transforms)) {
    const Json* groups = transforms->Find("config_groups");
    if (groups == nullptr || !IsEmptyObject(*groups)) {
      return weights.ConfigNotRead("a transform_config");
    }
  }
  return absl::OkStatus();
}

// Columns that were put into groups by their activations.
absl::Status CheckOrder(const EngineWeights& weights, const Json* actorder) {
  if (actorder == nullptr || actorder->is_null()) return absl::OkStatus();
  const std::string* name = actorder->AsString();
  if (name != nullptr && (*name == "weight" || *name == "static")) {
    return absl::OkStatus();
  }
  if (actorder->AsBool() != nullptr && !*actorder->AsBool()) {
    return absl::OkStatus();
  }
  return weights.ConfigNotRead(
      absl::StrCat("actorder ", JsonExcerpt(*actorder)));
}

absl::Status AddArguments(const EngineWeights& weights, const Json& group,
                          WeightArguments* arguments) {
  const Json* json = group.Find("weights");
  if (json == nullptr || json->is_null()) return absl::OkStatus();
  const auto wrong = [&](absl::string_view key) {
    return weights.ConfigDamaged(
        absl::StrCat("config_groups has weights whose ", key,
                     " is not what it can be: ", JsonExcerpt(*json)));
  };
  if (!json->is_object()) return wrong("description");
  MQ_RETURN_IF_ERROR(CheckOrder(weights, json->Find("actorder")));
  const Json* type = json->Find("type");
  if (type != nullptr && type->AsString() == nullptr) return wrong("type");
  int64_t bits = 8;
  if (const Json* member = json->Find("num_bits")) {
    if (member->AsInt() == nullptr) return wrong("num_bits");
    bits = *member->AsInt();
  }
  if (type != nullptr && *type->AsString() == "float") {
    arguments->floats.insert(bits);
    return absl::OkStatus();
  }
  int64_t group_size = 0;
  const Json* size = json->Find("group_size");
  if (size != nullptr && !size->is_null()) {
    if (size->AsInt() == nullptr || *size->AsInt() == 0 ||
        *size->AsInt() < -1) {
      return wrong("group_size");
    }
    group_size = *size->AsInt() == -1 ? 0 : *size->AsInt();
  }
  arguments->integers.emplace(bits, group_size);
  return absl::OkStatus();
}

absl::StatusOr<WeightArguments> ReadArguments(const EngineWeights& weights) {
  MQ_RETURN_IF_ERROR(CheckNothingElse(weights));
  const Json* groups = weights.config().Find("config_groups");
  if (groups == nullptr || !groups->is_object()) {
    return weights.ConfigDamaged("config_groups is no object");
  }
  WeightArguments arguments;
  for (const Json::Member& group : *groups->AsObject()) {
    MQ_RETURN_IF_ERROR(AddArguments(weights, group.second, &arguments));
  }
  return arguments;
}

// ------------------------------------------------------------ the tensors --

// What the scales are that are stored so: U8 is E8M0's exponents.
DType ScaleDTypeOf(const TensorInfo& scale) {
  return scale.dtype == DType::kU8 ? DType::kF8E8M0 : scale.dtype;
}

// A scheme with parameters as those of `scale` divide a weight of this shape.
// DataLoss if they do not divide it.
absl::StatusOr<QuantScheme> SchemeOf(const EngineWeights& weights,
                                     const TensorInfo& codes,
                                     absl::Span<const int64_t> shape,
                                     const TensorInfo& scale,
                                     NumberFormat format) {
  if (!ScalesCanBe(format, ScaleDTypeOf(scale))) {
    return weights.NotRead(
        codes, absl::StrCat("has scales of ", DTypeName(scale.dtype)));
  }
  QuantScheme scheme;
  scheme.format = format;
  scheme.scale_dtype = ScaleDTypeOf(scale);
  const int64_t rows = shape[0];
  const int64_t columns = shape[1];
  if (scale.shape == Shape{1}) {
    scheme.granularity = Granularity::kTensor;
    return scheme;
  }
  const bool by_row = scale.shape.size() == 2 && scale.shape[0] == rows;
  if (by_row && scale.shape[1] == 1) {
    scheme.granularity = Granularity::kAxis;
    return scheme;
  }
  if (by_row && scale.shape[1] > 1 && columns % scale.shape[1] == 0) {
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = columns / scale.shape[1];
    if (scheme.group_size > 0) return scheme;
  }
  return weights.Damaged(
      codes, absl::StrCat("its scales ", QuotedName(scale.name), " are ",
                          DescribeStored(scale), ", which do not divide ",
                          ShapeToString(shape), kSameCheckpoint));
}

// Whether the configuration knows integers of these bits with the groups of the
// scheme. Groups as long as a row are none.
bool IsConfigured(const WeightArguments& arguments, int64_t bits,
                  const QuantScheme& scheme, int64_t columns) {
  if (scheme.granularity == Granularity::kGroup) {
    return arguments.integers.count({bits, scheme.group_size}) > 0;
  }
  return arguments.integers.count({bits, 0}) > 0 ||
         arguments.integers.count({bits, columns}) > 0;
}

absl::Status NotConfigured(const EngineWeights& weights,
                           const TensorInfo& codes, absl::string_view what) {
  return weights.Damaged(
      codes, absl::StrCat("holds ", what,
                          ", which no entry of config_groups in config.json "
                          "describes",
                          kSameCheckpoint));
}

// The two numbers in M.weight_shape.
absl::StatusOr<Shape> ReadDimensions(const EngineWeights& weights,
                                     const TensorInfo& codes,
                                     const TensorInfo& tensor) {
  if (tensor.dtype != DType::kI64 || tensor.shape != Shape{2}) {
    return weights.Damaged(
        codes, absl::StrCat("its dimensions ", QuotedName(tensor.name), " are ",
                            DescribeStored(tensor), ", expected I64 [2]",
                            kSameCheckpoint));
  }
  Shape shape(2);
  MQ_RETURN_IF_ERROR(weights.reader().Read(
      weights.NumberOf(tensor), 0, shape.size(),
      absl::MakeSpan(reinterpret_cast<uint8_t*>(shape.data()),
                     shape.size() * sizeof(int64_t))));
  if (shape[0] == codes.shape[0] && shape[1] > 0) return shape;
  return weights.Damaged(
      codes, absl::StrCat("is ", DescribeStored(codes), ", but ",
                          QuotedName(tensor.name), " says that the weight is [",
                          shape[0], ", ", shape[1], "]", kSameCheckpoint));
}

// Whether so many codes take these words. Codes of 3, 5, 6 and 7 bits go over
// the ends of words.
bool Fits(int64_t columns, int64_t words, int64_t bits) {
  // columns = 32 * whole + rest.
  const int64_t whole = columns / 32;
  const int64_t rest = columns % 32;
  const int64_t last = (rest * bits + 31) / 32;
  return words >= last && (words - last) % bits == 0 &&
         (words - last) / bits == whole;
}

absl::StatusOr<int64_t> BitsOf(const EngineWeights& weights,
                               const WeightArguments& arguments,
                               const TensorInfo& codes,
                               const QuantScheme& scheme, int64_t columns) {
  const int64_t words = codes.shape[1];
  std::vector<int64_t> fitting;
  for (const int64_t bits : {4, 8, 2, 3, 5, 6, 7, 1}) {
    if (Fits(columns, words, bits)) fitting.push_back(bits);
  }
  if (fitting.empty()) {
    return weights.Damaged(codes, absl::StrCat("is ", DescribeStored(codes),
                                               ", which does not fit ", columns,
                                               " columns", kSameCheckpoint));
  }
  std::vector<int64_t> configured;
  for (const int64_t bits : fitting) {
    if (IsConfigured(arguments, bits, scheme, columns)) {
      configured.push_back(bits);
    }
  }
  if (configured.empty()) {
    QuantScheme described = scheme;
    described.format =
        fitting[0] == 4 ? NumberFormat::kInt4 : NumberFormat::kInt8;
    return NotConfigured(weights, codes,
                         fitting[0] == 4 || fitting[0] == 8
                             ? SchemeToString(described)
                             : absl::StrCat("codes of ", fitting[0], " bits"));
  }
  if (configured.size() > 1) {
    return weights.NotRead(
        codes,
        absl::StrCat("has codes of ", configured[0], " or ", configured[1],
                     " bits, which its ", columns, " columns do not tell"));
  }
  if (configured[0] != 4 && configured[0] != 8) {
    return weights.NotRead(
        codes, absl::StrCat("has codes of ", configured[0], " bits"));
  }
  return configured[0];
}

// Pairs of 4-bit floats: the schemes of mxfp4 and nvfp4, and what StoreWeight
// does not take for one.
absl::Status AddFloatPairs(const WeightArguments& arguments,
                           const TensorInfo& codes, EngineWeights* weights) {
  const absl::string_view name = absl::StripSuffix(codes.name, "_packed");
  if (codes.shape.size() != 2 || codes.shape[1] > INT64_MAX / 2) {
    return weights->NotRead(codes, absl::StrCat("is ", DescribeStored(codes)));
  }
  if (arguments.floats.count(4) == 0) {
    return arguments.floats.empty()
               ? NotConfigured(*weights, codes, "floats of 4 bits")
               : weights->NotRead(codes, absl::StrCat("has floats of ",
                                                      *arguments.floats.begin(),
                                                      " bits, packed"));
  }
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scale,
      weights->FindPart(codes, "scales", absl::StrCat(name, "_scale")));
  Shape shape = {codes.shape[0], 2 * codes.shape[1]};
  MQ_ASSIGN_OR_RETURN(
      QuantScheme scheme,
      SchemeOf(*weights, codes, shape, *scale, NumberFormat::kFp4E2M1));
  if (scheme.granularity != Granularity::kGroup &&
      scale->shape == Shape{shape[0], 1}) {
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = shape[1];
  }
  return weights->Add(codes, name, scheme, QuantStorage::kCompressedTensors,
                      std::move(shape), DType::kBF16);
}

absl::Status AddPacked(const WeightArguments& arguments,
                       const TensorInfo& codes, EngineWeights* weights) {
  const absl::string_view name = absl::StripSuffix(codes.name, "_packed");
  if (codes.dtype == DType::kU8) {
    return AddFloatPairs(arguments, codes, weights);
  }
  if (codes.dtype != DType::kI32 || codes.shape.size() != 2) {
    return weights->NotRead(codes, absl::StrCat("is ", DescribeStored(codes)));
  }
  if (weights->Find(absl::StrCat(name, "_g_idx")) != nullptr) {
    return weights->NotRead(codes, "has groups by activations (actorder)");
  }
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const dimensions,
      weights->FindPart(codes, "dimensions", absl::StrCat(name, "_shape")));
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scale,
      weights->FindPart(codes, "scales", absl::StrCat(name, "_scale")));
  MQ_ASSIGN_OR_RETURN(Shape shape,
                      ReadDimensions(*weights, codes, *dimensions));
  MQ_ASSIGN_OR_RETURN(
      QuantScheme scheme,
      SchemeOf(*weights, codes, shape, *scale, NumberFormat::kInt8));
  MQ_ASSIGN_OR_RETURN(const int64_t bits,
                      BitsOf(*weights, arguments, codes, scheme, shape[1]));
  scheme.format = bits == 4 ? NumberFormat::kInt4 : NumberFormat::kInt8;
  scheme.symmetric =
      weights->Find(absl::StrCat(name, "_zero_point")) == nullptr;
  return weights->Add(codes, name, scheme, QuantStorage::kPackQuantized,
                      std::move(shape), scale->dtype);
}

// Codes of up to 8 bits, one a byte.
absl::Status AddBytes(const WeightArguments& arguments, const TensorInfo& codes,
                      EngineWeights* weights) {
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scale,
      weights->FindPart(codes, "scales", absl::StrCat(codes.name, "_scale")));
  if (codes.shape.size() != 2) {
    return weights->NotRead(codes, absl::StrCat("is ", DescribeStored(codes)));
  }
  MQ_ASSIGN_OR_RETURN(
      QuantScheme scheme,
      SchemeOf(*weights, codes, codes.shape, *scale, NumberFormat::kInt8));
  bool configured = false;
  for (int64_t bits = 1; bits <= 8; ++bits) {
    configured |= IsConfigured(arguments, bits, scheme, codes.shape[1]);
  }
  scheme.symmetric =
      weights->Find(absl::StrCat(codes.name, "_zero_point")) == nullptr;
  if (!configured) {
    return NotConfigured(*weights, codes, SchemeToString(scheme));
  }
  return weights->Add(codes, codes.name, scheme, QuantStorage::kIntQuantized,
                      codes.shape, scale->dtype);
}

// Adds nothing where the scales are not those of the tensor or of its rows.
absl::Status AddFloats(const WeightArguments& arguments,
                       const TensorInfo& codes, EngineWeights* weights) {
  const TensorInfo* scale = weights->Find(absl::StrCat(codes.name, "_scale"));
  if (scale == nullptr) return absl::OkStatus();
  const bool powers = scale->dtype == DType::kU8;
  if (codes.shape.size() != 2 || !(powers || IsScaleDType(scale->dtype))) {
    return absl::OkStatus();
  }
  QuantScheme scheme;
  scheme.format = NumberFormat::kFp8E4M3;
  scheme.scale_dtype = ScaleDTypeOf(*scale);
  if (powers) {
    constexpr int64_t kGroup = 32;
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = kGroup;
  } else if (scale->shape == Shape{1}) {
    scheme.granularity = Granularity::kTensor;
  } else if (scale->shape == Shape{codes.shape[0], 1}) {
    scheme.granularity = Granularity::kAxis;
  } else {
    return absl::OkStatus();
  }
  if (arguments.floats.count(8) == 0) {
    return NotConfigured(*weights, codes, SchemeToString(scheme));
  }
  return weights->Add(codes, codes.name, scheme,
                      QuantStorage::kCompressedTensors, codes.shape,
                      powers ? DType::kBF16 : scale->dtype);
}

// What lies beside codes, without any.
absl::Status CheckNoOrphans(const EngineWeights& weights) {
  for (const TensorInfo& tensor : weights.tensors()) {
    for (const absl::string_view suffix :
         {"_scale", "_global_scale", "_shape", "_zero_point", "_g_idx"}) {
      absl::string_view name = tensor.name;
      if (!absl::ConsumeSuffix(&name, suffix) ||
          !absl::EndsWith(name, kWeight) || weights.Find(name) != nullptr ||
          weights.Find(absl::StrCat(name, "_packed")) != nullptr) {
        continue;
      }
      return weights.Damaged(
          tensor, absl::StrCat("belongs to ", QuotedName(name),
                               ", which is missing; the checkpoint is "
                               "incomplete, download or copy all of it again"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status FindCompressedTensorsWeights(EngineWeights* weights) {
  MQ_ASSIGN_OR_RETURN(const WeightArguments arguments, ReadArguments(*weights));
  MQ_RETURN_IF_ERROR(CheckNoOrphans(*weights));
  for (const TensorInfo& tensor : weights->tensors()) {
    if (absl::EndsWith(tensor.name, kPacked)) {
      MQ_RETURN_IF_ERROR(AddPacked(arguments, tensor, weights));
    } else if (!absl::EndsWith(tensor.name, kWeight)) {
      continue;
    } else if (tensor.dtype == DType::kI8) {
      MQ_RETURN_IF_ERROR(AddBytes(arguments, tensor, weights));
    } else if (tensor.dtype == DType::kF8E4M3) {
      MQ_RETURN_IF_ERROR(AddFloats(arguments, tensor, weights));
    }
  }
  return absl::OkStatus();
}

}  // namespace monoquant
