// What is known of the checksums of a checkpoint's files.

#ifndef MONOQUANT_VERIFY_CHECKSUMS_H_
#define MONOQUANT_VERIFY_CHECKSUMS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace monoquant {

// Bare names of the files with tensors.
struct Checksums {
  // Those whose bytes were compared with the checksums in them; what differs is
  // among the findings.
  std::vector<std::string> verified;
  // Those that have none.
  std::vector<std::string> without;
};

// Called while payload is read, with the bytes of the files that are done and
// of all; an error ends the check and is returned.
using VerifyProgress =
    absl::FunctionRef<absl::Status(uint64_t done, uint64_t total)>;

}  // namespace monoquant

#endif  // MONOQUANT_VERIFY_CHECKSUMS_H_
