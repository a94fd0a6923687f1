#include "frontends/pickle/pickle_policy.h"

#include <cstddef>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "ir/errors.h"
#include "ir/marks.h"
#include "ir/quoted.h"

namespace monoquant {
namespace {

// Of names that are looked up. What is beyond counts as computed.
constexpr size_t kMaxLookedUp = 1 << 20;
constexpr size_t kMaxLookedUpBytes = 16 << 20;

std::string Describe(const PickleGlobal& global) {
  if (global.module == kComputedModule) {
    return "a function whose name the pickle computes";
  }
  return QuotedName(absl::StrCat(global.module, ".", global.name));
}

// Types that take "[...]": List[int] is pickled as a call of getitem.
bool IsGenericType(const PickleGlobal& global) {
  return JudgeGlobal(global.module, global.name) == GlobalVerdict::kSafe &&
         (global.module == "typing" || global.module == "collections" ||
          global.module == "collections.abc" || global.module == "builtins");
}

// These keep what they are handed or look at it, and run none of it.
bool OnlyKeeps(const PickleGlobal& global) {
  return global.Is("builtins", "getattr") ||
         global.Is("collections", "OrderedDict") ||
         global.Is("builtins", "dict") || global.Is("builtins", "frozenset") ||
         global.Is("builtins", "list") || global.Is("builtins", "set") ||
         global.Is("builtins", "tuple");
}

class Auditor {
 public:
  explicit Auditor(const PickleGraph& graph)
      : graph_(graph), walked_(graph.size(), false) {}

  PickleAudit Audit() &&;

 private:
  // A place in audit_.globals and verdicts_.
  using Index = size_t;

  void Enter(PickleGlobal global, PickleMentions mentions);
  // The global that a callee or an argument is, however it was come by.
  std::optional<Index> Resolve(NodeId node) const;
  void AuditCall(const PickleAct& call);
  void AuditChange(const PickleAct& change);
  // What a conditional global does with these arguments.
  bool IsHarmless(Index callee, const PickleAct& call);
  bool IsHarmlessLookUp(const PickleAct& call);
  // Everything in `root`, which is handed to a call: tuples, lists and dicts.
  void AuditPassed(NodeId root, const PickleAct& act);

  void Use(Index index, GlobalUse use, const PickleAct& act);
  void Find(const PickleAct& act, std::string what);

  const PickleGraph& graph_;
  PickleAudit audit_;
  // Parallel to audit_.globals: what JudgeGlobal says.
  std::vector<GlobalVerdict> verdicts_;
  // Objects that stand for a global that getattr looked up.
  absl::flat_hash_map<NodeId, Index> looked_up_;
  absl::flat_hash_map<std::string, Index> looked_up_names_;
  size_t looked_up_bytes_ = 0;
  // Containers that AuditPassed has been through.
  Marks walked_;
};

PickleAudit Auditor::Audit() && {
  for (size_t i = 0; i < graph_.globals().size(); ++i) {
    Enter(graph_.globals()[i], graph_.mentions()[i]);
  }
  absl::Span<const PickleAct> calls = graph_.calls();
  absl::Span<const PickleAct> changes = graph_.changes();
  while (!calls.empty() || !changes.empty()) {
    if (changes.empty() || (!calls.empty() && calls.front().position <=
                                                  changes.front().position)) {
      AuditCall(calls.front());
      calls.remove_prefix(1);
    } else {
      AuditChange(changes.front());
      changes.remove_prefix(1);
    }
  }
  return std::move(audit_);
}

void Auditor::Enter(PickleGlobal global, PickleMentions mentions) {
  AuditedGlobal entry;
  verdicts_.push_back(JudgeGlobal(global.module, global.name));
  entry.verdict = verdicts_.back() == GlobalVerdict::kConditional
                      ? GlobalVerdict::kSafe
                      : verdicts_.back();
  entry.global = std::move(global);
  entry.mentions = std::move(mentions);
  if (!entry.mentions.positions.empty()) {
    entry.op = graph_.OpAt(entry.mentions.positions[0]);
  }
  audit_.globals.push_back(std::move(entry));
}

std::optional<size_t> Auditor::Resolve(NodeId node) const {
  switch (graph_.kind(node)) {
    case NodeKind::kGlobal:
      return graph_.GlobalIndex(node);
    case NodeKind::kObject: {
      const auto it = looked_up_.find(node);
      if (it == looked_up_.end()) return std::nullopt;
      return it->second;
    }
    case NodeKind::kPersistentId: {
      // Old torch keeps the source of a class beside it: ('module', class,
      // file, source) in streams, (class, file, source) in tar archives.
      const NodeId value = graph_.PersistentValue(node);
      if (graph_.kind(value) != NodeKind::kTuple) return std::nullopt;
      absl::Span<const NodeId> items = graph_.Items(value);
      if (!items.empty() && graph_.AsString(items[0]) == "module") {
        items.remove_prefix(1);
      }
      if (items.empty() || graph_.kind(items[0]) != NodeKind::kGlobal) {
        return std::nullopt;
      }
      return graph_.GlobalIndex(items[0]);
    }
    default:
      return std::nullopt;
  }
}

void Auditor::Use(Index index, GlobalUse use, const PickleAct& act) {
  AuditedGlobal& global = audit_.globals[index];
  if (use <= global.use) return;
  global.use = use;
  global.use_position = act.position;
  global.use_op = graph_.OpAt(act.position);
}

void Auditor::Find(const PickleAct& act, std::string what) {
  if (audit_.findings.size() >= PickleAudit::kMaxFindings) return;
  audit_.findings.push_back(
      {act.position, graph_.OpAt(act.position), std::move(what)});
}

void Auditor::AuditCall(const PickleAct& call) {
  const NodeId callee = graph_.Callee(call.node);
  const std::optional<Index> index = Resolve(callee);
  if (!index.has_value()) {
    // Python ends at a call of a number or a text; nothing comes of it.
    const NodeKind kind = graph_.kind(callee);
    if (kind == NodeKind::kObject) {
      Find(call, "calls what another call returned");
    } else if (kind == NodeKind::kPersistentId) {
      Find(call, "calls what a persistent id stands for");
    }
    return;
  }
  Use(*index, GlobalUse::kCalled, call);
  const GlobalVerdict verdict = verdicts_[*index];
  if (verdict == GlobalVerdict::kDangerous ||
      (verdict == GlobalVerdict::kConditional && !IsHarmless(*index, call))) {
    AuditedGlobal& global = audit_.globals[*index];
    global.verdict = GlobalVerdict::kDangerous;
    Find(call, absl::StrCat("calls ", Describe(global.global)));
    return;
  }
  if (OnlyKeeps(audit_.globals[*index].global)) return;
  AuditPassed(graph_.Args(call.node), call);
  const NodeId keyword_args = graph_.KeywordArgs(call.node);
  if (keyword_args != kNoNode) AuditPassed(keyword_args, call);
}

void Auditor::AuditChange(const PickleAct& change) {
  const std::optional<Index> index = Resolve(change.node);
  if (index.has_value()) {
    AuditedGlobal& global = audit_.globals[*index];
    Use(*index, GlobalUse::kChanged, change);
    global.verdict = GlobalVerdict::kDangerous;
    Find(change, absl::StrCat("changes ", Describe(global.global)));
    return;
  }
  // The state of a partial object replaces the function that it was made with.
  const PickleGlobal* callee = graph_.CalleeGlobal(change.node);
  if (callee == nullptr || !callee->Is("functools", "partial")) return;
  for (NodeId state : graph_.States(change.node)) AuditPassed(state, change);
}

bool Auditor::IsHarmless(Index index, const PickleAct& call) {
  const PickleGlobal& callee = audit_.globals[index].global;
  if (callee.Is("builtins", "getattr")) return IsHarmlessLookUp(call);
  const absl::Span<const NodeId> args = graph_.Items(graph_.Args(call.node));
  if (callee.module == "builtins") {
    // type(None) and iter([...]); with more arguments, they make a class and
    // call a function.
    return args.size() == 1 && graph_.KeywordArgs(call.node) == kNoNode;
  }
  if (callee.module == "functools") {
    // What it is handed is judged like all that is handed to calls.
    return !args.empty();
  }
  // getitem
  const PickleGlobal* type =
      args.size() == 2 ? graph_.AsGlobal(args[0]) : nullptr;
  return type != nullptr && IsGenericType(*type);
}

bool Auditor::IsHarmlessLookUp(const PickleAct& call) {
  const absl::Span<const NodeId> args = graph_.Items(graph_.Args(call.node));
  if (args.size() != 2 || graph_.KeywordArgs(call.node) != kNoNode) {
    return false;
  }
  const std::optional<absl::string_view> name = graph_.AsString(args[1]);
  if (!name.has_value() || !IsIdentifier(*name)) return false;
  const std::optional<Index> base = Resolve(args[0]);
  // A method of an object. If it is called, that is a finding of its own.
  if (!base.has_value()) {
    return JudgeGlobal("", *name) != GlobalVerdict::kDangerous;
  }
  if ((*name)[0] == '_') return false;
  const PickleGlobal& of = audit_.globals[*base].global;
  PickleGlobal global = {of.module, absl::StrCat(of.name, ".", *name)};
  std::string key = absl::StrCat(global.module, "\n", global.name);
  const auto known = looked_up_names_.find(key);
  Index index;
  if (known != looked_up_names_.end()) {
    index = known->second;
    ++audit_.globals[index].mentions.count;
  } else {
    looked_up_bytes_ += 2 * key.size() + 512;
    if (looked_up_bytes_ > kMaxLookedUpBytes) return false;
    index = audit_.globals.size();
    looked_up_names_.emplace(std::move(key), index);
    Enter(std::move(global), {1, {call.position}});
  }
  if (looked_up_.size() >= kMaxLookedUp) return false;
  looked_up_.emplace(call.node, index);
  return true;
}

void Auditor::AuditPassed(NodeId root, const PickleAct& act) {
  std::vector<NodeId> containers;
  const auto visit = [&](NodeId node) {
    switch (graph_.kind(node)) {
      case NodeKind::kTuple:
      case NodeKind::kList:
      case NodeKind::kDict:
        if (walked_[node]) return;
        walked_[node] = true;
        containers.push_back(node);
        return;
      default:
        break;
    }
    const std::optional<Index> index = Resolve(node);
    if (!index.has_value()) return;
    Use(*index, GlobalUse::kPassed, act);
    const GlobalVerdict verdict = verdicts_[*index];
    if (verdict != GlobalVerdict::kDangerous &&
        verdict != GlobalVerdict::kConditional) {
      return;
    }
    AuditedGlobal& global = audit_.globals[*index];
    global.verdict = GlobalVerdict::kDangerous;
    Find(act, absl::StrCat("passes ", Describe(global.global), " to a call"));
  };
  visit(root);
  while (!containers.empty()) {
    const NodeId node = containers.back();
    containers.pop_back();
    for (NodeId item : graph_.Items(node)) visit(item);
    for (NodeId item : graph_.Entries(node)) visit(item);
  }
}

}  // namespace

absl::string_view GlobalUseName(GlobalUse use) {
  switch (use) {
    case GlobalUse::kReferenced:
      return "referenced";
    case GlobalUse::kPassed:
      return "passed";
    case GlobalUse::kCalled:
      return "called";
    case GlobalUse::kChanged:
      return "changed";
  }
  return "";
}

PickleAudit AuditPickle(const PickleGraph& graph) {
  return Auditor(graph).Audit();
}

absl::Status CheckCalls(const PickleGraph& graph) {
  const PickleAudit audit = AuditPickle(graph);
  if (audit.findings.empty()) return absl::OkStatus();
  const PickleFinding& first = audit.findings[0];
  return DataLossError(
      "byte ", first.position, ": ", first.what,
      " (not executed); refusing, since no honest checkpoint does so; get the "
      "file from a source that you trust, or read its weights with "
      "--allow-opaque");
}

}  // namespace monoquant
