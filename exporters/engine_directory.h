// What the model directories of engines have in common: safetensors files with
// weights in a storage of the engine's (ir/quant_storage.h), and a config.json
// that says which layers they are.

#ifndef MONOQUANT_EXPORTERS_ENGINE_DIRECTORY_H_
#define MONOQUANT_EXPORTERS_ENGINE_DIRECTORY_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "exporters/exporter.h"
#include "ir/json.h"
#include "ir/manifest.h"
#include "ir/quant_record.h"
#include "ir/quant_storage.h"

namespace monoquant {

// Writes safetensors files.
class EngineDirectory : public Exporter {
 public:
  // `check` says what the engine's configuration cannot; null if it can say
  // everything. FailedPrecondition, naming the tensor.
  using Check = absl::Status (*)(const Manifest& manifest);

  // `describe` is what the files themselves say of their tensors, as text
  // metadata; null if the configuration says it all.
  using Describe = std::vector<std::pair<std::string, std::string>> (*)(
      const Manifest& manifest);

  // The exporter is called what the storage is.
  explicit EngineDirectory(QuantStorage storage, Check check = nullptr,
                           Describe describe = nullptr)
      : EngineDirectory(storage, storage, check, describe) {}

  // Takes weights in another storage, too.
  EngineDirectory(QuantStorage storage, QuantStorage other, Check check,
                  Describe describe = nullptr)
      : storage_(storage), other_(other), check_(check), describe_(describe) {}

  absl::string_view name() const override { return StorageName(storage_); }
  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override;
  absl::Status WriteIndex(const Manifest& manifest, const FileLayout& layout,
                          absl::Span<const uint32_t> crc32,
                          ByteSink& sink) const override;

 private:
  Manifest Described(const Manifest& manifest) const;

  QuantStorage storage_;
  QuantStorage other_;
  Check check_;
  Describe describe_;
};

// "model.layers.0.fc" of "model.layers.0.fc.weight".
std::string ModuleOf(absl::string_view weight);

// Weights with scales; the others are casts.
std::vector<const QuantizedTensor*> QuantizedWeights(const Manifest& manifest);

// The modules of matrices that are not quantized, and the output layer, which a
// checkpoint does not list where it is the embedding. (Only those that are
// Linear matter; the names of others do no harm.)
std::vector<std::string> KeptModules(const Manifest& manifest);

// A regular expression for what begins with the name: "^a\\.b" of "a.b".
std::string PatternOf(absl::string_view name);

// The same as an array of JSON.
Json::Array ToJsonArray(const std::vector<std::string>& names);

// FailedPrecondition, naming both tensors, if not all weights have the number
// format, granularity, group size, symmetry and storage of the first.
absl::Status CheckOneScheme(const Manifest& manifest, absl::string_view format);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_ENGINE_DIRECTORY_H_
