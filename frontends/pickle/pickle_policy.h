// Whether a pickle would do harm in Python.
//
// Reading one here never does: nothing is imported or called. This is for those
// who will pass the file on, and for a reader that should not treat an attack
// as a checkpoint.

#ifndef MONOQUANT_FRONTENDS_PICKLE_PICKLE_POLICY_H_
#define MONOQUANT_FRONTENDS_PICKLE_PICKLE_POLICY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/global_verdict.h"
#include "frontends/pickle/opcodes.h"
#include "frontends/pickle/pickle_graph.h"

namespace monoquant {

// What a pickle does with a global; the worst that was found.
enum class GlobalUse {
  kReferenced,  // named, perhaps kept, but not run
  kPassed,      // handed to a call, which may run it
  kCalled,
  kChanged,  // given a state, keys or items: a class or module is patched
};

// "referenced", "called", ...
absl::string_view GlobalUseName(GlobalUse use);

// One global of a pickle. A name that is looked up with getattr, as old
// protocols do for nested classes, is a global of its own: "Outer.Inner".
struct AuditedGlobal {
  PickleGlobal global;
  // Never kConditional: safe, or dangerous if one of its uses is.
  GlobalVerdict verdict = GlobalVerdict::kUnknown;
  PickleMentions mentions;
  PickleOp op = PickleOp::kGlobal;  // of the first mention
  GlobalUse use = GlobalUse::kReferenced;
  // Of the first instruction with that use, unless it is kReferenced.
  uint32_t use_position = 0;
  PickleOp use_op = PickleOp::kGlobal;
};

// Something that no honest checkpoint does.
struct PickleFinding {
  uint32_t position = 0;
  PickleOp op = PickleOp::kReduce;
  std::string what;  // "calls 'os.system'"
};

struct PickleAudit {
  // Each once: first those that the pickle names, in the order of appearance,
  // then those that it looks up.
  std::vector<AuditedGlobal> globals;
  // In the order of the pickle; of many, the first kMaxFindings.
  static constexpr size_t kMaxFindings = 1000;
  std::vector<PickleFinding> findings;
};

// Looks at every call of a pickle, whole or broken off, in time and memory
// proportional to its size. A finding is
//   - a call of a dangerous global, or a call that is handed one;
//   - a change of a class, function or module;
//   - a call of what another call returned, or of a class whose name the pickle
//     computes: nobody can say what those are.
// Classes that are unknown are no finding.
PickleAudit AuditPickle(const PickleGraph& graph);

// OK if there is no finding. Otherwise DataLoss with the first, without the
// file's name.
absl::Status CheckCalls(const PickleGraph& graph);

}  // namespace monoquant

#endif  // MONOQUANT_FRONTENDS_PICKLE_PICKLE_POLICY_H_
