// What a scan finds.

#ifndef MONOQUANT_FRONTENDS_SCAN_SCAN_REPORT_H_
#define MONOQUANT_FRONTENDS_SCAN_SCAN_REPORT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_policy.h"

namespace monoquant {

// From the best to the worst; the worst of its parts is that of the whole.
enum class ScanVerdict {
  kSafe,            // no pickle, or none that names anything but data
  kUnknownGlobals,  // names classes of which nothing is known
  kSuspicious,      // names something dangerous, but does not run it
  kMalformed,       // cannot be looked into, or not to its end
  kDangerous,       // would run something dangerous
};

// "safe", "unknown globals", "suspicious", "malformed", "dangerous".
absl::string_view ScanVerdictName(ScanVerdict verdict);

// One pickle.
struct ScannedPickle {
  // The path from the outside to the inside: the file of a directory, the
  // member of an archive, the member of the archive in it. Empty for a pickle
  // that is the file itself.
  std::vector<std::string> where;
  // Where it begins, in the innermost of these, decompressed. Positions of
  // globals and findings count from there.
  uint64_t offset = 0;
  uint64_t bytes = 0;
  int protocol = 0;
  uint64_t instructions = 0;
  ScanVerdict verdict = ScanVerdict::kSafe;
  // As PickleAudit has them. Of very many, the first.
  std::vector<AuditedGlobal> globals;
  uint64_t globals_left_out = 0;
  std::vector<PickleFinding> findings;
  // Why it could not be read to its end, with the position; otherwise empty.
  std::string malformed;
};

// Something about a file besides its pickles.
struct ScanProblem {
  std::vector<std::string> where;
  std::string what;  // "archive malformed: ..."
};

struct ScanReport {
  std::string path;
  ScanVerdict verdict = ScanVerdict::kSafe;
  std::vector<ScannedPickle> pickles;
  // What could not be looked into; with any, the verdict is kMalformed or
  // worse.
  std::vector<ScanProblem> problems;
};

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_SCAN_SCAN_REPORT_H_
