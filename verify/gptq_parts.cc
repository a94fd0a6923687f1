// Zero points and groups of columns of GPTQ's. They are numbers that the
// configuration says something about, and take some hundredths of what the
// codes take.

#include <algorithm>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/quant_scheme.h"
#include "ir/quant_storage.h"
#include "ir/status_macros.h"
#include "verify/checks.h"

namespace monoquant {
namespace {

constexpr FindingKind kTensors = FindingKind::kTensors;
constexpr uint64_t kPieceWords = uint64_t{1} << 18;
constexpr absl::string_view kOtherVersion =
    "write the checkpoint again, or try the other version as checkpoint_format "
    "(gptq, gptq_v2)";

class Check {
 public:
  Check(const Subject& subject, Findings* findings)
      : subject_(subject), findings_(*findings) {}

  absl::Status Run(const QuantizedTensor& weight) {
    MQ_RETURN_IF_ERROR(CheckZeroPoints(weight));
    return CheckGroups(weight);
  }

 private:
  // Calls `use` with the words of a tensor, piece by piece, and the number of
  // the first.
  template <typename Use>
  absl::Status ForEachPiece(absl::string_view name, const Use& use) {
    const size_t number = subject_.by_name.at(name);
    const uint64_t count =
        subject_.tensors()[number].byte_size / sizeof(uint32_t);
    for (uint64_t first = 0; first < count; first += kPieceWords) {
      words_.resize(static_cast<size_t>(std::min(kPieceWords, count - first)));
      MQ_RETURN_IF_ERROR(subject_.stored->Read(
          number, first, words_.size(),
          absl::MakeSpan(reinterpret_cast<uint8_t*>(words_.data()),
                         words_.size() * sizeof(uint32_t))));
      use(first, absl::MakeConstSpan(words_));
    }
    return absl::OkStatus();
  }

  absl::Status CheckZeroPoints(const QuantizedTensor& weight) {
    const auto bits = static_cast<uint32_t>(BitsOfCode(weight.scheme.format));
    const uint32_t largest = (uint32_t{1} << bits) - 1;
    const bool first_version = weight.storage == QuantStorage::kGptq;
    const uint32_t middle = (uint32_t{1} << (bits - 1)) - first_version;
    bool all_middle = true;
    bool has_largest = false;
    MQ_RETURN_IF_ERROR(ForEachPiece(
        weight.zero_point, [&](uint64_t, absl::Span<const uint32_t> words) {
          for (uint32_t word : words) {
            for (uint32_t bit = 0; bit < 32; bit += bits) {
              const uint32_t code = word >> bit & largest;
              all_middle &= code == middle;
              has_largest |= code == largest;
            }
          }
        }));
    const bool* symmetric = FlagOf(subject_.quantization(), "sym");
    if (symmetric != nullptr && *symmetric && !all_middle) {
      findings_.Error(
          kTensors, "", weight.name,
          absl::StrCat("has zero points that are not in the "
                       "middle, as version ",
                       first_version ? 1 : 2, " stores it, though sym is true"),
          kOtherVersion);
    } else if (first_version && has_largest) {
      findings_.Error(
          kTensors, "", weight.name,
          absl::StrCat("has zero points of ", largest + 1,
                       ", which version 1 cannot have: programs disagree "
                       "about what they stand for"),
          kOtherVersion);
    }
    return absl::OkStatus();
  }

  // The only constant of a weight of GPTQ's is the group of each column.
  absl::Status CheckGroups(const QuantizedTensor& weight) {
    const QuantScheme& scheme = weight.scheme;
    const int64_t columns = weight.shape[1];
    const int64_t size =
        scheme.granularity == Granularity::kGroup ? scheme.group_size : columns;
    const auto groups = static_cast<uint64_t>(columns / size);
    bool exist = true;
    bool in_order = true;
    MQ_RETURN_IF_ERROR(ForEachPiece(
        weight.constants.front(),
        [&](uint64_t first, absl::Span<const uint32_t> words) {
          for (size_t i = 0; i < words.size(); ++i) {
            exist &= words[i] < groups;
            in_order &= words[i] == (first + i) / static_cast<uint64_t>(size);
          }
        }));
    if (!exist) {
      findings_.Error(kTensors, "", weight.name,
                      "has columns of groups that do not exist (g_idx)",
                      "download or copy the checkpoint again");
      return absl::OkStatus();
    }
    const bool* ordered = FlagOf(subject_.quantization(), "desc_act");
    if (!in_order && ordered != nullptr && !*ordered) {
      findings_.Error(kTensors, "", weight.name,
                      "has columns that are not in the order of their groups "
                      "(g_idx), but desc_act is false",
                      "set desc_act to true");
    }
    return absl::OkStatus();
  }

  const Subject& subject_;
  Findings& findings_;
  std::vector<uint32_t> words_;
};

}  // namespace

absl::Status CheckGptqParts(const Subject& subject, Findings* findings) {
  Check check(subject, findings);
  for (const QuantizedTensor& weight : subject.weights) {
    if (weight.storage != QuantStorage::kGptq &&
        weight.storage != QuantStorage::kGptqV2) {
      continue;
    }
    MQ_RETURN_IF_ERROR(check.Run(weight));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
