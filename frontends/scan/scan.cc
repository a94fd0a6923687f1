#include "frontends/scan/scan.h"

#include <memory>
#include <utility>

#include "frontends/scan/scanner.h"
#include "ir/status_macros.h"

namespace monoquant {

absl::string_view ScanVerdictName(ScanVerdict verdict) {
  switch (verdict) {
    case ScanVerdict::kSafe:
      return "safe";
    case ScanVerdict::kUnknownGlobals:
      return "unknown globals";
    case ScanVerdict::kSuspicious:
      return "suspicious";
    case ScanVerdict::kMalformed:
      return "malformed";
    case ScanVerdict::kDangerous:
      return "dangerous";
  }
  return "";
}

absl::StatusOr<ScanReport> ScanCheckpoint(const CheckpointFiles& files,
                                          const ScanLimits& limits) {
  Scanner scanner(limits);
  if (files.is_directory) {
    for (const std::string& name : files.names) {
      MQ_ASSIGN_OR_RETURN(const auto source, files.open(name));
      Scanner::Inside inside(&scanner, name);
      MQ_RETURN_IF_ERROR(scanner.ScanAnything(source, /*depth=*/0));
    }
  } else {
    MQ_ASSIGN_OR_RETURN(const auto source, files.open(files.main));
    MQ_RETURN_IF_ERROR(scanner.ScanAnything(source, /*depth=*/0));
  }
  ScanReport report = std::move(scanner).TakeReport();
  report.path = files.path;
  return report;
}

}  // namespace monoquant
