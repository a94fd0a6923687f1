#include "frontends/engines/gptq.h"

#include <cstdint>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "frontends/engines/awq.h"
#include "frontends/engines/word_weights.h"
#include "ir/dtype.h"
#include "ir/json.h"
#include "ir/quoted.h"
#include "ir/shape.h"
#include "ir/status_macros.h"

namespace monoquant {
namespace {

// The bits of the codes of so many columns in so many words; 0 if there are no
// such codes.
int BitsOf(int64_t columns, int64_t words) {
  for (const int bits : {2, 4, 8}) {
    const int64_t per_word = 32 / bits;
    if (columns % per_word == 0 && columns / per_word == words) return bits;
  }
  // Those of 3, 5, 6 and 7 bits go over the ends of words.
  for (const int bits : {3, 5, 6, 7}) {
    if (columns % 32 == 0 && words % bits == 0 &&
        columns / 32 == words / bits) {
      return bits;
    }
  }
  return 0;
}

absl::Status AddWeight(const WordConfig& config, QuantStorage storage,
                       const TensorInfo& codes, EngineWeights* weights) {
  MQ_RETURN_IF_ERROR(CheckWords(*weights, codes));
  const absl::string_view base = absl::StripSuffix(codes.name, "qweight");
  MQ_ASSIGN_OR_RETURN(const TensorInfo* const columns_of,
                      weights->FindPart(codes, "groups of columns",
                                        absl::StrCat(base, "g_idx")));
  MQ_ASSIGN_OR_RETURN(
      const TensorInfo* const scales,
      weights->FindPart(codes, "scales", absl::StrCat(base, "scales")));
  const int64_t columns =
      columns_of->shape.size() == 1 ? columns_of->shape[0] : 0;
  const int bits = columns == 0 ? 0 : BitsOf(columns, codes.shape[0]);
  if (bits == 0) {
    return weights->Damaged(
        codes,
        absl::StrCat("is ", DescribeStored(codes), ", which does not fit ",
                     QuotedName(columns_of->name), ", ",
                     DescribeStored(*columns_of),
                     "; check that both are of one checkpoint"));
  }
  if (bits != 4 && bits != 8) {
    return weights->NotRead(codes,
                            absl::StrCat("has codes of ", bits, " bits"));
  }
  MQ_ASSIGN_OR_RETURN(
      const QuantScheme scheme,
      WordScheme(*weights, config, codes, bits, columns, *scales));
  return weights->Add(codes, absl::StrCat(base, "weight"), scheme, storage,
                      {codes.shape[1], columns}, DType::kF16);
}

}  // namespace

absl::Status FindGptqWeights(EngineWeights* weights) {
  MQ_ASSIGN_OR_RETURN(const std::string format, ReadWordFormat(*weights));
  if (format == "gemm") return FindAwqWeights(weights);
  if (!format.empty() && format != "gptq" && format != "gptq_v2") {
    return weights->ConfigNotRead(
        absl::StrCat("the format ", JsonExcerpt(format)));
  }
  const QuantStorage storage =
      format == "gptq_v2" ? QuantStorage::kGptqV2 : QuantStorage::kGptq;
  MQ_ASSIGN_OR_RETURN(const WordConfig config, ReadWordConfig(*weights));
  MQ_RETURN_IF_ERROR(CheckNoOrphans(*weights));
  for (const TensorInfo& tensor : weights->tensors()) {
    if (!absl::EndsWith(tensor.name, ".qweight")) continue;
    MQ_RETURN_IF_ERROR(AddWeight(config, storage, tensor, weights));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
