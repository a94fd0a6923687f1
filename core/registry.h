// Every number format, observer and algorithm: three tables, passed as a value.

#ifndef MONOQUANT_CORE_REGISTRY_H_
#define MONOQUANT_CORE_REGISTRY_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "core/algorithms/algorithm.h"
#include "core/codecs/codec.h"
#include "core/observers/observer.h"
#include "ir/quant_scheme.h"

namespace monoquant {

struct Registry {
  absl::Span<const Codec* const> codecs;  // one for each format, by enum value
  absl::Span<const ObserverRow* const> observers;
  absl::Span<const AlgorithmRow* const> algorithms;

  const Codec& GetCodec(NumberFormat format) const {
    return *codecs[static_cast<size_t>(format)];
  }
  // nullptr for an unknown name.
  const ObserverRow* FindObserver(absl::string_view name) const;
  const AlgorithmRow* FindAlgorithm(absl::string_view name) const;

  // All names of a table, for messages: "int8, uint8, int4".
  std::string FormatNames() const;
  std::string ObserverNames() const;
  std::string AlgorithmNames() const;
};

// What monoquant comes with. To add one: a file of its own and a line in
// registry.cc (docs/adding_a_codec.md).
Registry DefaultRegistry();

}  // namespace monoquant

#endif  // MONOQUANT_CORE_REGISTRY_H_
