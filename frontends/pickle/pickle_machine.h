// Runs a pickle's program without executing anything.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// What a pickle may use; each is named in its error. Together they bound the
// memory to some 2 GB for the worst that anybody can write.
struct PickleLimits {
  uint64_t bytes = uint64_t{256} << 20;
  uint64_t opcodes = 50'000'000;
  size_t values = 24'000'000;
  size_t stack = 1'000'000;  // values and marks
  size_t memo = 4'000'000;
  size_t string_bytes = 16 << 20;
  size_t integer_bytes = 1024;
};

// Reads the pickle at the start of `bytes`; PickleGraph::consumed says where it
// ended.
//
// Knows every instruction of the protocols 0 to 5 but two kinds: extension
// codes (EXT1, EXT2, EXT4), which mean something only to the program that
// registered them, and out-of-band buffers. Those are Unimplemented. DataLoss
// if the pickle is truncated or malformed, exceeds a limit, or calls something
// that CheckCall refuses. Errors carry the byte position but no file name.
absl::StatusOr<PickleGraph> ReadPickle(std::string bytes,
                                       const PickleLimits& limits = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_
