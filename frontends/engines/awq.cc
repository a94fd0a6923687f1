#include "frontends/engines/awq.h"

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "frontends/engines/word_weights.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

constexpr int kBits = 4;
constexpr int64_t kPerWord = 32 / kBits;

absl::Status AddWeight(const WordConfig& config, const TensorInfo& codes,
                       EngineWeights* weights) {
  MQ_RETURN_IF_ERROR(CheckWords(*weights, codes));
  const absl::string_view base = absl::StripSuffix(codes.name, "qweight");
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scales,
      weights->FindPart(codes, "scales", absl::StrCat(base, "scales")));
  const int64_t columns = codes.shape[0];
  MQ_ASSIGN_OR_RETURN(
      const QuantScheme scheme,
      WordScheme(*weights, config, codes, kBits, columns, *scales));
  // As many rows as scales: the words must fit them (Add).
  const int64_t rows = scales->shape[1];
  if (rows % kPerWord != 0 || rows / kPerWord != codes.shape[1]) {
    return weights->Damaged(
        codes, absl::StrCat("is ", DescribeStored(codes),
                            ", but its scales "
                            "are ",
                            DescribeStored(*scales),
                            "; check that both are of one checkpoint"));
  }
  return weights->Add(codes, absl::StrCat(base, "weight"), scheme,
                      QuantStorage::kAwq, {rows, columns}, DType::kF16);
}

}  // namespace

absl::Status FindAwqWeights(EngineWeights* weights) {
  MQ_ASSIGN_OR_RETURN(const std::string format, ReadWordFormat(*weights));
  if (!format.empty() && format != "gemm") {
    return weights->ConfigNotRead(
        absl::StrCat("the version ", JsonExcerpt(format)));
  }
  MQ_ASSIGN_OR_RETURN(const WordConfig config, ReadWordConfig(*weights));
  if (config.bits.has_value() && *config.bits != kBits) {
    return weights->ConfigNotRead(
        absl::StrCat("codes of ", *config.bits, " bits"));
  }
  MQ_RETURN_IF_ERROR(CheckNoOrphans(*weights));
  for (const TensorInfo& tensor : weights->tensors()) {
    if (!absl::EndsWith(tensor.name, ".qweight")) continue;
    MQ_RETURN_IF_ERROR(AddWeight(config, tensor, weights));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
