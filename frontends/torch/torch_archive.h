// The zip archives that torch writes, told apart by the names of their members.
//
//   torch.save        model/data.pkl           the pickled object
//                     model/data/0, 1, ...     its storages, one member each
//   torch.jit.save    model/data.pkl, data/    as above
//                     model/constants.pkl, constants/, code/
//                     model/bytecode.pkl       only for mobile interpreters
//   ... before 1.3    model/model.json         instead of any pickle
//                     model/tensors/0, 1, ...
//   torch.export      model/archive_format     "pt2", beside much else
//   ... before 2.8    serialized_state_dict.pt and others, in no directory
//
// All but the last have everything in one directory, here "model", and
//
//   model/byteorder          "little" or "big"; missing before torch 2.1
//   model/monoquant.json     only in what monoquant wrote

#ifndef MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_
#define MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "frontends/tensors/storage.h"
#include "frontends/zip/zip_archive.h"
#include "ir/byte_source.h"
#include "ir/json.h"

namespace monoquant {

// The most that a member which describes the tensors may have.
inline constexpr uint64_t kMaxArchiveJson = uint64_t{64} << 20;

enum class TorchZipKind {
  kTorch,
  kTorchScript,      // 1.3 and later
  kTorchScriptLite,  // for mobile interpreters
  kTorchScriptJson,  // 1.0 to 1.2
  kExport,           // 2.8 and later
  kExportPickled,    // 2.1 to 2.7
};

// An archive: a file, or a stored member of another archive.
struct ArchiveBytes {
  std::shared_ptr<const ByteSource> source;
  std::string file_name;  // bare name of the file
  uint64_t offset = 0;    // where in that file the archive begins
};

struct TorchArchive {
  std::shared_ptr<const ZipArchive> zip;
  std::string file_name;
  uint64_t file_offset = 0;
  TorchZipKind kind = TorchZipKind::kTorch;
  // What the names of all members begin with: "model/", or nothing.
  std::string prefix;
  bool big_endian = false;
  std::vector<std::string> notes;

  // The member `name` below the prefix.
  std::optional<size_t> Find(absl::string_view name) const;
  // All of it, up to `limit` bytes. DataLoss if it is not there.
  absl::StatusOr<std::string> Read(absl::string_view name,
                                   uint64_t limit) const;
  // A member that is JSON, of at most kMaxArchiveJson bytes.
  absl::StatusOr<Json> ReadJson(absl::string_view name) const;
  // The member `name` as a storage. DataLoss, naming the storage only, if it is
  // not there.
  absl::StatusOr<std::shared_ptr<const Storage>> FindStorage(
      absl::string_view name) const;
  // A stored member that is an archive itself.
  absl::StatusOr<ArchiveBytes> OpenInner(size_t member) const;
};

// Opens an archive and reads its directory and byte order. Unimplemented,
// naming what it is, for a zip archive that torch did not write.
absl::StatusOr<TorchArchive> OpenTorchArchive(ArchiveBytes bytes);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_TORCH_ARCHIVE_H_
