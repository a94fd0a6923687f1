// Finds every pickle in a file or directory and says what it would do in
// Python.
//
// Any container is looked into, and any other file too: what something is
// called does not matter. Other scanners have been got past with archives that
// they could not open and Python could, so a part that cannot be looked into is
// a problem, and never "safe"; and archives and pickles that the readers refuse
// are scanned all the same, as far as anybody could read them.

#ifndef MONOQUANT_FRONTENDS_SCAN_SCAN_H_
#define MONOQUANT_FRONTENDS_SCAN_SCAN_H_

#include "absl/status/statusor.h"
#include "frontends/scan/scan_report.h"
#include "ir/byte_source.h"

namespace monoquant {

// What one scan may use, over all of its files. Where it ends at a limit, that
// is a problem in the report.
struct ScanLimits {
  uint64_t instructions = 100'000'000;    // of all pickles together
  uint64_t inflated = uint64_t{1} << 30;  // bytes
  uint64_t searched = uint64_t{4} << 30;  // bytes of damaged archives
  size_t pickles = 100'000;
  size_t globals = 100'000;  // listed
};

// Errors are those of the source: what cannot be opened or read. Whatever is
// wrong with the content is in the report.
absl::StatusOr<ScanReport> ScanCheckpoint(const CheckpointFiles& files,
                                          const ScanLimits& limits = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCAN_SCAN_H_
