// Whether a checkpoint is whole, and whether a program loads it.

#ifndef MONOQUANT_VERIFY_VERIFY_H_
#define MONOQUANT_VERIFY_VERIFY_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "exporters/programs.h"
#include "ir/byte_source.h"
#include "ir/json.h"
#include "verify/checksums.h"
#include "verify/finding.h"

namespace monoquant {

struct VerifyOptions {
  // The program that is to load it; null for any.
  const Program* program = nullptr;
  // Read all that has a checksum, and compare.
  bool hashes = false;
  // As of OpenOptions.
  bool allow_opaque = false;
};

struct VerifyReport {
  std::string path;
  // As of CheckpointIndex; empty if it cannot be opened as a whole.
  std::string container;
  // How its weights are stored: "compressed-tensors", "gptq" and so on as in
  // --to, another quant_method, or the container's name.
  std::string format;
  size_t tensors = 0;
  size_t quantized = 0;  // weights
  uint64_t bytes = 0;    // of tensors
  // False if its files are not whole, so that only they were checked.
  bool complete = false;
  std::optional<Checksums> checksums;
  Findings findings;
};

// Checks a checkpoint or a model directory of any program's. Reads indexes,
// headers and configurations, of some formats zero points, groups of columns
// and global scales, and no weights but with options.hashes.
//
// What is wrong is in the report. Errors are those of files that cannot be
// read, and of those that are no checkpoint or one that is malformed, unless
// they lie in a directory that has more to tell.
absl::StatusOr<VerifyReport> VerifyCheckpoint(const CheckpointFiles& files,
                                              const VerifyOptions& options,
                                              VerifyProgress progress);

// The document of docs/schemas/verify.json.
Json VerifyReportToJson(const VerifyReport& report,
                        const VerifyOptions& options);

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_VERIFY_H_
