// Writes a manifest's tensors into a file of one format.
//
// Everything about the file but the payload's values and checksums is settled
// by Layout, before a byte is written: its size, every offset. So pieces can be
// written in any order, by any number of threads, and an output that would not
// fit the disk fails at the start.

#ifndef MONOQUANT_EXPORTERS_EXPORTER_H_
#define MONOQUANT_EXPORTERS_EXPORTER_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "ir/byte_sink.h"
#include "ir/json.h"
#include "ir/manifest.h"
#include "ir/marks.h"
#include "ir/quant_storage.h"

namespace monoquant {

struct FileLayout {
  uint64_t file_size = 0;
  // One for each tensor of the manifest: where its payload begins. Tied tensors
  // have the offset of the tensor that they share.
  std::vector<uint64_t> offsets;
  // True for tensors whose payload stays in another file, where their offset
  // then counts: it is given to the writer for its checksum, but not written.
  // Empty where there are none.
  Marks elsewhere;
};

// One output format. Stateless and thread-safe.
class Exporter {
 public:
  virtual ~Exporter() = default;

  // "safetensors", "torch", "mqir": the value of --to.
  virtual absl::string_view name() const = 0;

  // FailedPrecondition, naming the tensor, for what the format cannot hold.
  virtual absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const = 0;

  // Writes everything that is not payload: headers, index, directory. Called
  // once, after all payload. crc32[i] is the CRC-32 (as in zip) of the payload
  // of tensor i; tied tensors have that of the tensor that they share.
  virtual absl::Status WriteIndex(const Manifest& manifest,
                                  const FileLayout& layout,
                                  absl::Span<const uint32_t> crc32,
                                  ByteSink& sink) const = 0;
};

// What the files of a model directory are called.
struct FileNaming {
  // "model" and "safetensors", for model.safetensors and, where there are
  // several, model-00001-of-00003.safetensors.
  absl::string_view stem;
  absl::string_view extension;
  // False for a format that is always one file.
  bool has_shards = false;
  // Whether the index of the shards has the names of tied tensors too: those
  // under which a reader of the format finds a tensor.
  bool lists_ties = false;
};

struct ExporterRow {
  const Exporter* exporter;
  // Extensions of its files, without dot. The first row that has an extension
  // is chosen by it where --to is not given.
  absl::Span<const absl::string_view> extensions;
  // A line of Python that loads such a file, with PATH in place of the quoted
  // path, or the directory of a format that is one (quantization_config); empty
  // where only monoquant reads the format.
  absl::string_view python_hint;
  absl::string_view description;
  // Programs that load such files, and the versions that are tested with them.
  absl::string_view loaded_by;
  FileNaming naming;
  // How quantized tensors are stored.
  QuantStorage storage = QuantStorage::kPlain;
  // What is quantized where nothing says so otherwise, as ParseSchemeSpec reads
  // it (core/recipe.h); empty for the default of recipes.
  absl::string_view default_scheme = "";
  // Of formats that are model directories: what config.json says of the
  // quantization, under "quantization_config". Null for files that need no
  // other.
  Json (*quantization_config)(const Manifest&) = nullptr;
};

// Every output format. To add one: a file of its own and a line in registry.cc.
absl::Span<const ExporterRow> AllExporters();

// All names, for messages: "torch, safetensors".
std::string ExporterNames();

// By --to name. InvalidArgument listing the known names.
absl::StatusOr<const ExporterRow*> FindExporter(absl::string_view name);

// By the extension of an output path. InvalidArgument listing the extensions.
absl::StatusOr<const ExporterRow*> FindExporterForPath(absl::string_view path);

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_EXPORTER_H_
