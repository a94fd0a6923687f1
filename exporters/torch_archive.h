// The zip archive that torch.save writes, whatever its pickle says.
//
//   archive/data.pkl              the pickle
//   archive/.format_version       "1"
//   archive/.storage_alignment    "64"
//   archive/byteorder             "little"
//   archive/monoquant.json        the quantization record, if there is one
//   archive/data/0, data/1, ...   the bytes of storage k; tied tensors share it
//   archive/version               "3\n"
//   archive/.data/serialization_id  40 digits that follow from the contents
//
// The root is always "archive", so that the bytes do not depend on the output's
// name.

#ifndef MONOQUANT_EXPORTERS_TORCH_ARCHIVE_H_
#define MONOQUANT_EXPORTERS_TORCH_ARCHIVE_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "exporters/exporter.h"
#include "exporters/torch_pickler.h"
#include "ir/byte_sink.h"
#include "ir/manifest.h"

namespace monoquant {

// Says how the tensors of a manifest are put together. All of them that are not
// tied must have a storage. FailedPrecondition, naming the tensor, for what
// cannot be.
using MakeTorchPickle = absl::StatusOr<TorchPickle> (*)(const Manifest&);

class TorchArchiveExporter : public Exporter {
 public:
  TorchArchiveExporter(absl::string_view name, MakeTorchPickle make_pickle)
      : name_(name), make_pickle_(make_pickle) {}

  absl::string_view name() const override { return name_; }
  absl::StatusOr<FileLayout> Layout(const Manifest& manifest) const override;
  absl::Status WriteIndex(const Manifest& manifest, const FileLayout& layout,
                          absl::Span<const uint32_t> crc32,
                          ByteSink& sink) const override;

 private:
  absl::string_view name_;
  MakeTorchPickle make_pickle_;
};

}  // namespace monoquant

#endif  // MONOQUANT_EXPORTERS_TORCH_ARCHIVE_H_
