#include "ir/quant_scheme.h"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "ir/errors.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// Names by enum value.
constexpr absl::string_view kFormatNames[kNumNumberFormats] = {
    "int8",     "uint8",    "int4", "uint4", "fp16",     "bf16",
    "fp8_e4m3", "fp8_e5m2", "nf4",  "fp4",   "fp4_e2m1", "llm_int8"};
constexpr absl::string_view kGranularityNames[] = {"tensor", "axis", "group",
                                                   "block"};
constexpr absl::string_view kConventionNames[] = {"torch",
                                                  "compressed-tensors"};

template <typename Enum>
std::optional<Enum> FromName(absl::Span<const absl::string_view> names,
                             absl::string_view name) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it == names.end()) return std::nullopt;
  return static_cast<Enum>(it - names.begin());
}

// The product of dims[first ..]. NumElements has shown that the product of all
// non-zero dimensions does not overflow.
uint64_t ProductFrom(absl::Span<const int64_t> shape, size_t first) {
  uint64_t product = 1;
  for (size_t i = first; i < shape.size(); ++i) {
    product *= static_cast<uint64_t>(shape[i]);
  }
  return product;
}

// Packing rows: all dimensions but the first make a row; a tensor of less than
// two dimensions is one row.
void SetRows(absl::Span<const int64_t> shape, ParamLayout* layout) {
  const bool one_row = shape.size() < 2;
  layout->num_rows = one_row ? 1 : static_cast<uint64_t>(shape[0]);
  layout->row = ProductFrom(shape, one_row ? 0 : 1);
}

absl::Status WrongMember(absl::string_view name, absl::string_view expected,
                         const Json& found) {
  return InvalidArgumentError("scheme: \"", name, "\" must be ", expected,
                              ", found ", JsonExcerpt(found));
}

// Sets `*value` from the member `name` where it is present.
template <typename Enum>
absl::Status ReadEnum(const Json& json, absl::string_view name,
                      absl::Span<const absl::string_view> names, Enum* value) {
  const Json* member = json.Find(name);
  if (member == nullptr) return absl::OkStatus();
  const std::string* text = member->AsString();
  const std::optional<Enum> found =
      text == nullptr ? std::nullopt : FromName<Enum>(names, *text);
  if (!found.has_value()) {
    return WrongMember(
        name, absl::StrCat("one of ", absl::StrJoin(names, ", ")), *member);
  }
  *value = *found;
  return absl::OkStatus();
}

// The members that mean something for the format and granularity of `scheme`.
std::vector<absl::string_view> MembersOf(const QuantScheme& scheme) {
  if (!HasScales(scheme.format)) return {"format"};
  std::vector<absl::string_view> members = {"format", "granularity"};
  if (HasZeroPoints(scheme.format)) {
    members.insert(members.end(), {"symmetric", "convention"});
  }
  if (scheme.granularity == Granularity::kAxis) members.push_back("axis");
  if (HasGroupSize(scheme.granularity)) members.push_back("group_size");
  members.push_back("scale_dtype");
  return members;
}

}  // namespace

bool HasScales(NumberFormat format) {
  return format != NumberFormat::kFp16 && format != NumberFormat::kBf16;
}

bool HasZeroPoints(NumberFormat format) {
  return format == NumberFormat::kInt8 || format == NumberFormat::kUInt8 ||
         format == NumberFormat::kInt4 || format == NumberFormat::kUInt4;
}

bool HasGlobalScale(const QuantScheme& scheme) {
  return HasScales(scheme.format) && scheme.scale_dtype == DType::kF8E4M3;
}

bool IsCodebook(NumberFormat format) {
  return format == NumberFormat::kNf4 || format == NumberFormat::kFp4;
}

bool IsOfBitsandbytes(NumberFormat format) {
  return IsCodebook(format) || format == NumberFormat::kLlmInt8;
}

bool HasRowScales(NumberFormat format) {
  return format == NumberFormat::kLlmInt8;
}

int BitsOfCode(NumberFormat format) {
  switch (format) {
    case NumberFormat::kInt4:
    case NumberFormat::kUInt4:
    case NumberFormat::kNf4:
    case NumberFormat::kFp4:
    case NumberFormat::kFp4E2M1:
      return 4;
    case NumberFormat::kInt8:
    case NumberFormat::kUInt8:
    case NumberFormat::kFp8E4M3:
    case NumberFormat::kFp8E5M2:
    case NumberFormat::kLlmInt8:
      return 8;
    case NumberFormat::kFp16:
    case NumberFormat::kBf16:
      break;
  }
  return 16;
}

bool HasGroupSize(Granularity granularity) {
  return granularity == Granularity::kGroup ||
         granularity == Granularity::kBlock;
}

absl::string_view NumberFormatName(NumberFormat format) {
  return kFormatNames[static_cast<size_t>(format)];
}
std::optional<NumberFormat> NumberFormatFromName(absl::string_view name) {
  return FromName<NumberFormat>(kFormatNames, name);
}

absl::string_view GranularityName(Granularity granularity) {
  return kGranularityNames[static_cast<size_t>(granularity)];
}
std::optional<Granularity> GranularityFromName(absl::string_view name) {
  if (name == "channel") return Granularity::kAxis;
  return FromName<Granularity>(kGranularityNames, name);
}

absl::string_view ConventionName(Convention convention) {
  return kConventionNames[static_cast<size_t>(convention)];
}
std::optional<Convention> ConventionFromName(absl::string_view name) {
  return FromName<Convention>(kConventionNames, name);
}

bool IsScaleDType(DType dtype) {
  return dtype == DType::kF32 || dtype == DType::kF16 || dtype == DType::kBF16;
}

bool ScalesCanBe(NumberFormat format, DType dtype) {
  if (dtype == DType::kF8E4M3) return format == NumberFormat::kFp4E2M1;
  if (dtype != DType::kF8E8M0) return IsScaleDType(dtype);
  return format == NumberFormat::kFp8E4M3 || format == NumberFormat::kFp8E5M2 ||
         format == NumberFormat::kFp4E2M1;
}

std::string ScaleDTypeNames(NumberFormat format) {
  std::vector<absl::string_view> names = {"F32", "F16", "BF16"};
  for (const DType dtype : {DType::kF8E8M0, DType::kF8E4M3}) {
    if (ScalesCanBe(format, dtype)) names.push_back(DTypeName(dtype));
  }
  const absl::string_view last = names.back();
  names.pop_back();
  return absl::StrCat(absl::StrJoin(names, ", "), " or ", last);
}

absl::Span<const NamedScheme> NamedSchemes() {
  const auto grouped = [](NumberFormat format, int64_t group, DType scales) {
    QuantScheme scheme;
    scheme.format = format;
    scheme.granularity = Granularity::kGroup;
    scheme.group_size = group;
    scheme.scale_dtype = scales;
    return scheme;
  };
  static const NamedScheme kSchemes[] = {
      {"mxfp4", grouped(NumberFormat::kFp4E2M1, 32, DType::kF8E8M0)},
      {"mxfp8", grouped(NumberFormat::kFp8E4M3, 32, DType::kF8E8M0)},
      {"nvfp4", grouped(NumberFormat::kFp4E2M1, 16, DType::kF8E4M3)},
  };
  return kSchemes;
}

std::optional<DType> ScaleDTypeFromName(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (lower == "f32" || lower == "fp32" || lower == "float32") {
    return DType::kF32;
  }
  if (lower == "f16" || lower == "fp16" || lower == "float16") {
    return DType::kF16;
  }
  if (lower == "bf16" || lower == "bfloat16") return DType::kBF16;
  if (lower == "e8m0" || lower == "f8_e8m0" || lower == "float8_e8m0fnu") {
    return DType::kF8E8M0;
  }
  if (lower == "e4m3" || lower == "f8_e4m3" || lower == "float8_e4m3fn") {
    return DType::kF8E4M3;
  }
  return std::nullopt;
}

std::string SchemeToString(const QuantScheme& scheme) {
  std::string text(NumberFormatName(scheme.format));
  if (!HasScales(scheme.format)) return text;
  absl::StrAppend(&text, " ", GranularityName(scheme.granularity));
  if (scheme.granularity == Granularity::kAxis) {
    absl::StrAppend(&text, " ", scheme.axis);
  } else if (HasGroupSize(scheme.granularity)) {
    absl::StrAppend(&text, " ", scheme.group_size);
  }
  if (HasZeroPoints(scheme.format)) {
    absl::StrAppend(&text, scheme.symmetric ? " symmetric" : " asymmetric");
    if (scheme.convention != QuantScheme().convention) {
      absl::StrAppend(&text, " ", ConventionName(scheme.convention));
    }
  }
  if (scheme.scale_dtype != QuantScheme().scale_dtype) {
    absl::StrAppend(&text, ", ", DTypeName(scheme.scale_dtype), " scales");
  }
  return text;
}

Json SchemeToJson(const QuantScheme& scheme) {
  Json json;
  json.Set("format", NumberFormatName(scheme.format));
  if (!HasScales(scheme.format)) return json;
  json.Set("granularity", GranularityName(scheme.granularity));
  if (scheme.granularity == Granularity::kAxis) {
    json.Set("axis", scheme.axis);
  } else if (HasGroupSize(scheme.granularity)) {
    json.Set("group_size", scheme.group_size);
  }
  if (HasZeroPoints(scheme.format)) {
    json.Set("symmetric", scheme.symmetric);
    json.Set("convention", ConventionName(scheme.convention));
  }
  if (scheme.scale_dtype != QuantScheme().scale_dtype) {
    json.Set("scale_dtype", DTypeName(scheme.scale_dtype));
  }
  return json;
}

absl::StatusOr<QuantScheme> SchemeFromJson(const Json& json) {
  if (!json.is_object()) {
    return InvalidArgumentError("scheme: must be an object, found ",
                                JsonExcerpt(json));
  }
  QuantScheme scheme;
  MQ_RETURN_IF_ERROR(
      ReadEnum(json, "format", absl::MakeSpan(kFormatNames), &scheme.format));
  MQ_RETURN_IF_ERROR(ReadEnum(json, "granularity",
                              absl::MakeSpan(kGranularityNames),
                              &scheme.granularity));
  MQ_RETURN_IF_ERROR(ReadEnum(json, "convention",
                              absl::MakeSpan(kConventionNames),
                              &scheme.convention));
  if (const Json* symmetric = json.Find("symmetric")) {
    if (symmetric->AsBool() == nullptr) {
      return WrongMember("symmetric", "true or false", *symmetric);
    }
    scheme.symmetric = *symmetric->AsBool();
  }
  if (const Json* axis = json.Find("axis")) {
    const int64_t* value = axis->AsInt();
    if (value == nullptr || *value < 0 || *value >= kMaxDims) {
      return WrongMember("axis", absl::StrCat("0 to ", kMaxDims - 1), *axis);
    }
    scheme.axis = static_cast<int>(*value);
  }
  if (const Json* group_size = json.Find("group_size")) {
    const int64_t* value = group_size->AsInt();
    if (value == nullptr || *value <= 0) {
      return WrongMember("group_size", "a positive integer", *group_size);
    }
    scheme.group_size = *value;
  }

  if (const Json* scale_dtype = json.Find("scale_dtype")) {
    const std::string* name = scale_dtype->AsString();
    const std::optional<DType> dtype =
        name == nullptr ? std::nullopt : DTypeFromName(*name);
    if (!dtype.has_value() || !ScalesCanBe(scheme.format, *dtype)) {
      return WrongMember("scale_dtype", ScaleDTypeNames(scheme.format),
                         *scale_dtype);
    }
    scheme.scale_dtype = *dtype;
  }

  const std::vector<absl::string_view> members = MembersOf(scheme);
  for (const Json::Member& member : *json.AsObject()) {
    if (std::find(members.begin(), members.end(), member.first) ==
        members.end()) {
      return InvalidArgumentError(absl::StrCat(
          "scheme: ", JsonExcerpt(member.first), " is no member of ",
          NumberFormatName(scheme.format), " ",
          HasScales(scheme.format) ? GranularityName(scheme.granularity) : "",
          HasScales(scheme.format) ? " " : "", "schemes, which have ",
          absl::StrJoin(members, ", ")));
    }
  }
  if (HasScales(scheme.format) && HasGroupSize(scheme.granularity) &&
      scheme.group_size == 0) {
    return InvalidArgumentError(
        "scheme: \"group_size\" is missing, granularity ",
        GranularityName(scheme.granularity), " needs it");
  }
  return scheme;
}

absl::StatusOr<ParamLayout> ComputeParamLayout(
    const QuantScheme& scheme, absl::Span<const int64_t> shape) {
  ParamLayout layout;
  MQ_ASSIGN_OR_RETURN(layout.num_elements, NumElements(shape));
  SetRows(shape, &layout);
  // One element at least, so that dividing by the segment is safe for tensors
  // without elements too.
  layout.segment = std::max<uint64_t>(1, layout.num_elements);
  if (!HasScales(scheme.format)) {
    layout.num_params = 0;
    return layout;
  }
  if (HasRowScales(scheme.format) &&
      (scheme.granularity != Granularity::kAxis || scheme.axis != 0)) {
    return FailedPreconditionError(
        NumberFormatName(scheme.format),
        " has a scale for each index of axis 0 and no other, found ",
        SchemeToString(scheme), "; use granularity axis, or int8");
  }
  if (HasGroupSize(scheme.granularity) && scheme.group_size <= 0) {
    return InvalidArgumentError("group size ", scheme.group_size,
                                " is not positive");
  }

  switch (scheme.granularity) {
    case Granularity::kTensor:
      layout.num_params = 1;
      break;
    case Granularity::kAxis: {
      if (scheme.axis < 0 || static_cast<size_t>(scheme.axis) >= shape.size()) {
        return InvalidArgumentError(
            "axis ", scheme.axis, " is out of range for shape ",
            ShapeToString(shape), " of ", shape.size(), " dimensions");
      }
      const size_t axis = static_cast<size_t>(scheme.axis);
      layout.segment = std::max<uint64_t>(1, ProductFrom(shape, axis + 1));
      layout.num_params = static_cast<uint64_t>(shape[axis]);
      layout.param_shape = {shape[axis]};
      break;
    }
    case Granularity::kGroup: {
      const uint64_t group = static_cast<uint64_t>(scheme.group_size);
      if (layout.row % group != 0) {
        return FailedPreconditionError(
            "group size ", group, " does not divide the row length ",
            layout.row, " of shape ", ShapeToString(shape),
            "; choose a divisor, or granularity axis");
      }
      layout.segment = group;
      layout.num_params = layout.num_elements / group;
      layout.param_shape = {static_cast<int64_t>(layout.num_rows),
                            static_cast<int64_t>(layout.row / group)};
      break;
    }
    case Granularity::kBlock: {
      if (shape.size() != 2) {
        return FailedPreconditionError("blocks are of matrices, not of shape ",
                                       ShapeToString(shape),
                                       "; choose granularity axis");
      }
      const uint64_t size = static_cast<uint64_t>(scheme.group_size);
      const auto blocks = [size](uint64_t count) {
        return count / size + (count % size != 0);
      };
      // No more than a row has, so that products of it are counts of elements.
      layout.segment =
          std::max<uint64_t>(1, std::min<uint64_t>(size, layout.row));
      layout.block_rows =
          std::max<uint64_t>(1, std::min<uint64_t>(size, layout.num_rows));
      layout.num_params = blocks(layout.num_rows) * blocks(layout.row);
      layout.param_shape = {static_cast<int64_t>(blocks(layout.num_rows)),
                            static_cast<int64_t>(blocks(layout.row))};
      break;
    }
  }
  return layout;
}

DType ZeroPointDType(NumberFormat format) {
  return format == NumberFormat::kInt8 || format == NumberFormat::kInt4
             ? DType::kI8
             : DType::kU8;
}

DType CodeDType(NumberFormat format) {
  switch (format) {
    case NumberFormat::kInt8:
    case NumberFormat::kLlmInt8:
      return DType::kI8;
    case NumberFormat::kFp16:
      return DType::kF16;
    case NumberFormat::kBf16:
      return DType::kBF16;
    case NumberFormat::kFp8E4M3:
      return DType::kF8E4M3;
    case NumberFormat::kFp8E5M2:
      return DType::kF8E5M2;
    case NumberFormat::kUInt8:
    case NumberFormat::kInt4:
    case NumberFormat::kUInt4:
    case NumberFormat::kNf4:
    case NumberFormat::kFp4:
    case NumberFormat::kFp4E2M1:
      break;
  }
  return DType::kU8;
}

absl::StatusOr<Shape> CodeShape(NumberFormat format,
                                absl::Span<const int64_t> shape) {
  MQ_RETURN_IF_ERROR(NumElements(shape).status());
  if (BitsOfCode(format) != 4) return Shape(shape.begin(), shape.end());
  ParamLayout layout;
  SetRows(shape, &layout);
  return Shape{static_cast<int64_t>(layout.num_rows),
               static_cast<int64_t>(layout.row / 2 + layout.row % 2)};
}

}  // namespace monoquant
