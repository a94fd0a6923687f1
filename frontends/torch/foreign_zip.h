// Zip archives that are no checkpoints of torch.

#ifndef MONOQUANT_FRONTENDS_TORCH_FOREIGN_ZIP_H_
#define MONOQUANT_FRONTENDS_TORCH_FOREIGN_ZIP_H_

#include "absl/status/status.h"
#include "frontends/zip/zip_archive.h"

namespace monoquant {

// Unimplemented: says what an archive is, by members that only its kind has,
// and what to do about it.
absl::Status DescribeForeignZip(const ZipArchive& zip);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_TORCH_FOREIGN_ZIP_H_
