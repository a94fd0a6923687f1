#include "core/registry.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "core/algorithms/rtn.h"
#include "core/codecs/bf16.h"
#include "core/codecs/fp16.h"
#include "core/codecs/fp4.h"
#include "core/codecs/fp4_e2m1.h"
#include "core/codecs/fp8.h"
#include "core/codecs/int4.h"
#include "core/codecs/int8.h"
#include "core/codecs/llm_int8.h"
#include "core/codecs/nf4.h"
#include "core/observers/minmax.h"

namespace monoquant {
namespace {

constexpr const Codec* kCodecs[kNumNumberFormats] = {
    &kInt8Codec, &kUInt8Codec, &kInt4Codec,    &kUInt4Codec,
    &kFp16Codec, &kBf16Codec,  &kFp8E4M3Codec, &kFp8E5M2Codec,
    &kNf4Codec,  &kFp4Codec,   &kFp4E2M1Codec, &kLlmInt8Codec,
};

constexpr const ObserverRow* kObservers[] = {
    &kMinMaxObserver,
};

constexpr const AlgorithmRow* kAlgorithms[] = {
    &kRoundToNearest,
};

template <typename Row>
const Row* Find(absl::Span<const Row* const> rows, absl::string_view name) {
  for (const Row* row : rows) {
    if (row->name == name) return row;
  }
  return nullptr;
}

absl::string_view NameOf(const Codec& codec) {
  return NumberFormatName(codec.format);
}
absl::string_view NameOf(const ObserverRow& row) { return row.name; }
absl::string_view NameOf(const AlgorithmRow& row) { return row.name; }

template <typename Row>
std::string Names(absl::Span<const Row* const> rows) {
  return absl::StrJoin(rows, ", ", [](std::string* out, const Row* row) {
    absl::StrAppend(out, NameOf(*row));
  });
}

}  // namespace

const ObserverRow* Registry::FindObserver(absl::string_view name) const {
  return Find(observers, name);
}

const AlgorithmRow* Registry::FindAlgorithm(absl::string_view name) const {
  return Find(algorithms, name);
}

std::string Registry::FormatNames() const { return Names(codecs); }
std::string Registry::ObserverNames() const { return Names(observers); }
std::string Registry::AlgorithmNames() const { return Names(algorithms); }

Registry DefaultRegistry() { return {kCodecs, kObservers, kAlgorithms}; }

}  // namespace monoquant
