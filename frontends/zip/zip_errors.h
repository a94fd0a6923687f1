// Errors of malformed archives.

#ifndef MONOQUANT_FRONTENDS_ZIP_ZIP_ERRORS_H_
#define MONOQUANT_FRONTENDS_ZIP_ZIP_ERRORS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "ir/byte_source.h"
#include "ir/errors.h"

namespace monoquant {

inline constexpr absl::string_view kDownloadZipAgain =
    "; download or copy it again";

inline absl::Status MalformedZip(const ByteSource& source,
                                 absl::string_view what) {
  return DataLossError(source.name(), ": malformed zip archive: ", what,
                       kDownloadZipAgain);
}

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_ZIP_ZIP_ERRORS_H_
