#include "frontends/engines/word_weights.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "ir/dtype.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

int64_t CeilDivide(int64_t value, int64_t divisor) {
  return value / divisor + (value % divisor != 0);
}

std::string DescribeGroups(int64_t group_size) {
  return group_size == -1 ? "one group a row"
                          : absl::StrCat("groups of ", group_size);
}

}  // namespace

absl::StatusOr<WordConfig> ReadWordConfig(const EngineWeights& weights) {
  WordConfig config;
  MQ_ASSIGN_OR_RETURN(config.bits, weights.Integer("bits"));
  MQ_ASSIGN_OR_RETURN(config.group_size, weights.Integer("group_size"));
  if (config.group_size.has_value() && *config.group_size < 1 &&
      *config.group_size != -1) {
    return weights.ConfigDamaged(
        absl::StrCat("group_size is ", *config.group_size,
                     ", expected -1 or a positive number"));
  }
  MQ_ASSIGN_OR_RETURN(const std::optional<bool> symmetric, weights.Bool("sym"));
  MQ_ASSIGN_OR_RETURN(const std::optional<bool> zero_point,
                      weights.Bool("zero_point"));
  config.symmetric = symmetric.value_or(!zero_point.value_or(true));
  const Json* dynamic = weights.config().Find("dynamic");
  config.mixed = dynamic != nullptr && !dynamic->is_null();
  return config;
}

absl::StatusOr<std::string> ReadWordFormat(const EngineWeights& weights) {
  for (const char* key : {"checkpoint_format", "format", "version"}) {
    MQ_ASSIGN_OR_RETURN(const std::optional<std::string> format,
                        weights.Text(key));
    if (format.has_value()) return absl::AsciiStrToLower(*format);
  }
  return std::string();
}

absl::Status CheckWords(const EngineWeights& weights, const TensorInfo& codes) {
  if (codes.dtype != DType::kI32) {
    return weights.NotRead(
        codes, absl::StrCat("has codes in words of ", DTypeName(codes.dtype)));
  }
  if (codes.shape.size() == 2) return absl::OkStatus();
  return weights.Damaged(codes, absl::StrCat("is ", DescribeStored(codes),
                                             ", expected two dimensions"));
}

absl::Status CheckNoOrphans(const EngineWeights& weights) {
  for (const TensorInfo& tensor : weights.tensors()) {
    for (const absl::string_view suffix : {".qzeros", ".g_idx"}) {
      absl::string_view base = tensor.name;
      if (!absl::ConsumeSuffix(&base, suffix)) continue;
      const std::string codes = absl::StrCat(base, ".qweight");
      if (weights.Find(codes) != nullptr) continue;
      return weights.Damaged(
          tensor, absl::StrCat("belongs to ", QuotedName(codes),
                               ", which is missing; the checkpoint is "
                               "incomplete, download or copy all of it again"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<QuantScheme> WordScheme(const EngineWeights& weights,
                                       const WordConfig& config,
                                       const TensorInfo& codes, int bits,
                                       int64_t columns,
                                       const TensorInfo& scales) {
  if (config.bits.has_value() && *config.bits != bits && !config.mixed) {
    return weights.Damaged(
        codes,
        absl::StrCat("has codes of ", bits,
                     " bits, but quantization_config says ", *config.bits,
                     "; check that both are of one "
                     "checkpoint"));
  }
  if (scales.dtype != DType::kF16 && scales.dtype != DType::kBF16) {
    return weights.NotRead(
        codes, absl::StrCat("has scales of ", DTypeName(scales.dtype)));
  }
  const int64_t groups = scales.shape.empty() ? 0 : scales.shape[0];
  if (scales.shape.size() != 2 || groups < 1 || groups > columns) {
    return weights.Damaged(
        codes, absl::StrCat("its scales ", QuotedName(scales.name), " are ",
                            DescribeStored(scales),
                            ", which is no division of ", columns,
                            " columns into groups; check that both are of one "
                            "checkpoint"));
  }
  const int64_t configured = config.group_size.value_or(-1);
  const bool checked = config.group_size.has_value() && !config.mixed;
  const bool divides = columns % groups == 0;
  const bool as_configured =
      groups == (configured == -1 ? 1 : CeilDivide(columns, configured));
  if (checked && !as_configured) {
    return weights.Damaged(
        codes, absl::StrCat("its scales ", QuotedName(scales.name), " are for ",
                            groups, " groups of ", columns,
                            " columns, but quantization_config says ",
                            DescribeGroups(configured),
                            "; check that both are of one checkpoint"));
  }
  if (!divides || (checked && configured != -1 && groups > 1 &&
                   columns % configured != 0)) {
    return weights.NotRead(codes,
                           absl::StrCat("has ", columns, " columns in ", groups,
                                        " groups, not all of one size"));
  }
  QuantScheme scheme;
  scheme.symmetric = config.symmetric;
  // The numbers are the same either way; around 0 they read better.
  if (bits == 4) {
    scheme.format =
        config.symmetric ? NumberFormat::kInt4 : NumberFormat::kUInt4;
  } else {
    scheme.format =
        config.symmetric ? NumberFormat::kInt8 : NumberFormat::kUInt8;
  }
  scheme.scale_dtype = scales.dtype;
  scheme.granularity = groups == 1 ? Granularity::kAxis : Granularity::kGroup;
  if (groups > 1) scheme.group_size = columns / groups;
  return scheme;
}

}  // namespace monoquant
