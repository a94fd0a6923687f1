// Runs a pickle's program without executing anything.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// What a pickle may use; each is named in its error.
struct PickleLimits {
  uint64_t bytes = uint64_t{256} << 20;
  uint64_t opcodes = 50'000'000;
  size_t values = 24'000'000;
  size_t stack = 1'000'000;  // values and marks
  size_t memo = 4'000'000;
  // Protocol 2 writes NumPy arrays as strings.
  size_t string_bytes = 256 << 20;
  size_t integer_bytes = 1024;
  // For the pickle's bytes and all that is made of them.
  size_t memory = 384 << 20;
};

// What to do about a pickle that calls what no checkpoint needs: see
// pickle_policy.h. Nothing is called either way.
enum class OpaqueCalls {
  kRefuse,
  kAllow,
};

// Reads the pickle at the start of `bytes`; PickleGraph::consumed says where it
// ended.
//
// Knows every instruction of the protocols 0 to 5 but two kinds: extension
// codes (EXT1, EXT2, EXT4), which mean something only to the program that
// registered them, and out-of-band buffers. Those are Unimplemented. DataLoss
// if the pickle is truncated or malformed, exceeds a limit, or, unless those
// are allowed, calls something that CheckCalls refuses. Errors carry the byte
// position but no file name.
absl::StatusOr<PickleGraph> ReadPickle(
    std::string bytes, const PickleLimits& limits = {},
    OpaqueCalls calls = OpaqueCalls::kRefuse);

// True for the error of a pickle that goes on beyond the bytes that were given:
// with more of them it may be sound.
bool IsTruncatedPickle(const absl::Status& status);

// A pickle as far as it could be run.
struct PickleRun {
  PickleGraph graph;
  // Why it ended before its STOP; OK if it did not.
  absl::Status status;
  // True if that is because the bytes end: there may be more of it elsewhere.
  bool truncated = false;
};

// Runs the pickle at the start of `bytes`, to see what it does rather than what
// it holds. Wherever Python might go on, this goes on too, and the values are
// then wrong: numbers and strings that are written strangely, states for values
// that can have none, frames that lie. A class whose name the pickle computes,
// or finds by an extension code, is a global of kComputedModule
// (global_verdict.h).
PickleRun RunPickle(std::string bytes, const PickleLimits& limits = {});

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_MACHINE_H_
