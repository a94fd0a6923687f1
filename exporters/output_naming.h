// What the files of an output directory are called.

#ifndef MONOQUANT_EXPORTERS_OUTPUT_NAMING_H_
#define MONOQUANT_EXPORTERS_OUTPUT_NAMING_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "exporters/exporter.h"
#include "exporters/model_files.h"
#include "exporters/shards.h"

namespace monoquant {

// Keeps the names of the input's files where the format has them too; otherwise
// those that loaders of the format look for.
class OutputNaming {
 public:
  // `input` must outlive the result.
  OutputNaming(const ModelFiles& input, const ExporterRow& row);

  // The names of `shards`, which are the input's own files if `as_input`.
  std::vector<std::string> Names(const std::vector<Shard>& shards,
                                 bool as_input) const;

  // The name of the index of several.
  std::string IndexName() const;

 private:
  // A file name in two parts: "model" and "safetensors".
  struct Name {
    std::string stem;
    std::string extension;
  };

  static Name Split(absl::string_view path);

  const ModelFiles& input_;
  bool same_format_ = false;  // as the input's weights
  Name one_;                  // of the only file
  Name several_;              // of shards
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_OUTPUT_NAMING_H_
