#include "frontends/torch_export/tensor_meta.h"

#include <optional>

#include "ir/dtype.h"
#include "ir/errors.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

struct ScalarTypeRow {
  int64_t number;
  DType dtype;
};

// The ScalarType of torch's export schema, which numbers types unlike the rest
// of torch.
constexpr ScalarTypeRow kScalarTypes[] = {
    {1, DType::kU8},      {2, DType::kI8},          {3, DType::kI16},
    {4, DType::kI32},     {5, DType::kI64},         {6, DType::kF16},
    {7, DType::kF32},     {8, DType::kF64},         {9, DType::kC32},
    {10, DType::kC64},    {11, DType::kC128},       {12, DType::kBool},
    {13, DType::kBF16},   {28, DType::kU16},        {29, DType::kF8E4M3},
    {30, DType::kF8E5M2}, {31, DType::kF8E4M3FNUZ}, {32, DType::kF8E5M2FNUZ},
    {33, DType::kF8E8M0}, {34, DType::kU32},        {35, DType::kU64},
};

// The Layout of that schema.
constexpr int64_t kStridedLayout = 7;

// A number, bare or as {"as_int": 6}. Expressions are refused, not evaluated.
absl::StatusOr<int64_t> ReadNumber(const Json& json, absl::string_view what) {
  const Json* number = json.is_object() ? json.Find("as_int") : &json;
  if (number == nullptr && json.Find("as_expr") != nullptr) {
    return UnimplementedError(
        QuotedName(what),
        " is an expression, not a number; export the program with fixed sizes "
        "of its weights");
  }
  const int64_t* value = number == nullptr ? nullptr : number->AsInt();
  if (value == nullptr) {
    return DataLossError(QuotedName(what), " holds ", JsonExcerpt(json));
  }
  return *value;
}

absl::StatusOr<int64_t> ReadField(const Json& json, absl::string_view key) {
  const Json* field = json.Find(key);
  if (field == nullptr) {
    return DataLossError(QuotedName(key), " is missing");
  }
  return ReadNumber(*field, key);
}

}  // namespace

absl::StatusOr<std::vector<int64_t>> ReadDims(const Json* json,
                                              absl::string_view what) {
  const Json::Array* list = json == nullptr ? nullptr : json->AsArray();
  if (list == nullptr || list->size() > kMaxDims) {
    return DataLossError(QuotedName(what), " is no list of at most ", kMaxDims,
                         " numbers");
  }
  std::vector<int64_t> dims;
  for (const Json& item : *list) {
    MQ_ASSIGN_OR_RETURN(const int64_t dim, ReadNumber(item, what));
    dims.push_back(dim);
  }
  return dims;
}

absl::StatusOr<StridedTensor> ReadTensorMeta(const Json& json) {
  StridedTensor tensor;
  MQ_ASSIGN_OR_RETURN(const int64_t layout, ReadField(json, "layout"));
  if (layout != kStridedLayout) {
    return UnimplementedError("layout ", layout,
                              " is not read; only strided tensors are");
  }
  MQ_ASSIGN_OR_RETURN(const int64_t number, ReadField(json, "dtype"));
  const ScalarTypeRow* type = nullptr;
  for (const ScalarTypeRow& row : kScalarTypes) {
    if (row.number == number) type = &row;
  }
  if (type == nullptr) {
    return UnimplementedError("dtype ", number, " is not known");
  }
  tensor.dtype = type->dtype;
  MQ_ASSIGN_OR_RETURN(tensor.size, ReadDims(json.Find("sizes"), "sizes"));
  MQ_ASSIGN_OR_RETURN(tensor.stride, ReadDims(json.Find("strides"), "strides"));
  MQ_ASSIGN_OR_RETURN(const int64_t offset, ReadField(json, "storage_offset"));
  if (offset < 0) return DataLossError("'storage_offset' is negative");
  tensor.offset = static_cast<uint64_t>(offset);
  return tensor;
}

}  // namespace monoquant
