// The members of a zip archive that torch wrote.
//
//   model/data.pkl           the pickled object
//   model/data/0, 1, ...     its storages, one member each
//   model/byteorder          "little" or "big"; missing before torch 2.1
//   model/version            and others that say nothing about the weights
//   model/constants.pkl      only in TorchScript, beside code/
//   model/monoquant.json     only in what monoquant wrote

#ifndef MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_
#define MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/zip/zip_archive.h"
#include "ir/byte_source.h"

namespace monoquant {

struct TorchArchive {
  std::shared_ptr<const ZipArchive> zip;
  // The directory that all members are in: "model".
  std::string root;
  size_t data_pkl = 0;
  bool big_endian = false;
  bool torchscript = false;
  std::vector<std::string> notes;

  // The member `name` below the root.
  std::optional<size_t> Find(absl::string_view name) const;
};

// Opens an archive and reads its directory and byte order. Unimplemented,
// naming what it is, for a zip archive that is no torch checkpoint.
absl::StatusOr<TorchArchive> OpenTorchArchive(
    std::shared_ptr<const ByteSource> source);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_
