// Pickles: one, several in a row, and those inside of others.

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "frontends/scan/scanner.h"
#include "ir/status_macros.h"
#include "ir/utf8.h"

namespace monoquant {
namespace {

// Pickles say nothing about their size. They are run in a window that grows
// while it proves too small.
constexpr uint64_t kFirstWindow = 64 << 10;
constexpr uint64_t kWindowGrowth = 16;

// For the pickle and what is made of it: an archive may be in memory beside it.
constexpr size_t kPickleMemory = 320 << 20;
constexpr size_t kInnerPickleMemory = 48 << 20;
constexpr size_t kMaxLoadedBytes = 32 << 20;
constexpr int kMaxOuterPickles = 2;
// Of a name in the report.
constexpr size_t kMaxName = 512;

ScanVerdict Judge(const PickleRun& run, const PickleAudit& audit) {
  if (!audit.findings.empty()) return ScanVerdict::kDangerous;
  if (!run.status.ok()) return ScanVerdict::kMalformed;
  ScanVerdict verdict = ScanVerdict::kSafe;
  for (const AuditedGlobal& global : audit.globals) {
    if (global.verdict == GlobalVerdict::kDangerous) {
      return ScanVerdict::kSuspicious;
    }
    if (global.verdict == GlobalVerdict::kUnknown) {
      verdict = ScanVerdict::kUnknownGlobals;
    }
  }
  return verdict;
}

// Whether what was run is a pickle, or other bytes that happened to be run.
bool IsPickle(const PickleRun& run, const PickleAudit& audit,
              Scanner::Expect expect, uint64_t rest) {
  const PickleGraph& graph = run.graph;
  if (run.status.ok()) {
    // Many a byte is a number and many another a STOP.
    return expect != Scanner::Expect::kAnything || !audit.globals.empty() ||
           graph.protocol() >= 2 || graph.consumed() == rest;
  }
  switch (expect) {
    case Scanner::Expect::kByName:
      return graph.instructions() > 1 || run.truncated;
    case Scanner::Expect::kByHeader:
      // Sizes of safetensors may begin like one.
      return graph.instructions() > 3 || run.truncated ||
             !audit.globals.empty();
    case Scanner::Expect::kAnything:
      break;
  }
  // Text is full of what looks like the names of classes, and many a number of
  // what looks like the code of an extension.
  const bool is_dangerous = std::any_of(
      audit.globals.begin(), audit.globals.end(), [](const auto& global) {
        return global.verdict == GlobalVerdict::kDangerous &&
               global.global.module != kComputedModule;
      });
  return is_dangerous || (!audit.globals.empty() && !audit.findings.empty());
}

// The bytes that an argument stands for: protocol 2 has no bytes and writes
// _codecs.encode(text, "latin1").
std::string AsAnyBytes(const PickleGraph& graph, NodeId node) {
  if (const auto bytes = graph.AsBytes(node)) return std::string(*bytes);
  const PickleGlobal* callee = graph.CalleeGlobal(node);
  if (callee == nullptr || !callee->Is("_codecs", "encode")) return "";
  const absl::Span<const NodeId> args = graph.Items(graph.Args(node));
  const auto text = args.empty() ? std::nullopt : graph.AsString(args[0]);
  if (!text.has_value()) return "";
  std::string bytes;
  for (size_t pos = 0; pos < text->size();) {
    bytes.push_back(static_cast<char>(DecodeUtf8(*text, &pos)));
  }
  return bytes;
}

}  // namespace

absl::StatusOr<uint64_t> Scanner::ScanPickles(const ByteSource& source,
                                              uint64_t offset, Expect expect) {
  while (offset < source.size()) {
    MQ_ASSIGN_OR_RETURN(const uint64_t bytes,
                        ScanOnePickle(source, offset, expect));
    if (bytes == 0) break;
    offset += bytes;
    expect = Expect::kAnything;
  }
  return offset;
}

absl::StatusOr<uint64_t> Scanner::ScanOnePickle(const ByteSource& source,
                                                uint64_t offset,
                                                Expect expect) {
  PickleLimits limits;
  limits.memory = outer_pickles_ == 0 ? kPickleMemory : kInnerPickleMemory;
  const uint64_t rest = source.size() - offset;
  const uint64_t most = std::min(rest, limits.bytes);
  for (uint64_t window = std::min(kFirstWindow, most);;
       window = std::min(window * kWindowGrowth, most)) {
    if (report_.pickles.size() >= limits_.pickles ||
        instructions_ >= limits_.instructions) {
      AddProblem("there is more in it than one scan looks at");
      return 0;
    }
    limits.opcodes = limits_.instructions - instructions_;
    MQ_ASSIGN_OR_RETURN(std::string bytes,
                        ReadHead(source, offset, static_cast<size_t>(window)));
    const PickleRun run = RunPickle(std::move(bytes), limits);
    instructions_ += run.graph.instructions();
    if (run.truncated && window < most) continue;

    const PickleAudit audit = AuditPickle(run.graph);
    if (!IsPickle(run, audit, expect, rest)) return 0;
    Report(run, audit, offset);
    MQ_RETURN_IF_ERROR(ScanLoadedBytes(run.graph));
    return run.status.ok() ? run.graph.consumed() : 0;
  }
}

void Scanner::Report(const PickleRun& run, const PickleAudit& audit,
                     uint64_t offset) {
  ScannedPickle pickle;
  pickle.where = where_;
  pickle.offset = offset;
  pickle.bytes = run.graph.consumed();
  pickle.protocol = run.graph.protocol();
  pickle.instructions = run.graph.instructions();
  pickle.verdict = Judge(run, audit);
  pickle.findings = audit.findings;
  pickle.malformed = std::string(run.status.message());
  for (const AuditedGlobal& global : audit.globals) {
    if (globals_ >= limits_.globals) {
      ++pickle.globals_left_out;
      continue;
    }
    ++globals_;
    pickle.globals.push_back(global);
    PickleGlobal& name = pickle.globals.back().global;
    name.module.resize(std::min(name.module.size(), kMaxName));
    name.name.resize(std::min(name.name.size(), kMaxName));
  }
  report_.pickles.push_back(std::move(pickle));
}

absl::Status Scanner::ScanLoadedBytes(const PickleGraph& graph) {
  for (const PickleAct& call : graph.calls()) {
    const PickleGlobal* callee = graph.CalleeGlobal(call.node);
    if (callee == nullptr || !callee->Is("torch.storage", "_load_from_bytes")) {
      continue;
    }
    const absl::Span<const NodeId> args = graph.Items(graph.Args(call.node));
    std::string bytes = args.empty() ? "" : AsAnyBytes(graph, args[0]);
    Inside inside(this, absl::StrCat("bytes loaded at ", call.position));
    if (bytes.empty() || bytes.size() > kMaxLoadedBytes ||
        outer_pickles_ >= kMaxOuterPickles) {
      AddProblem("a pickle in the pickle cannot be looked into");
      continue;
    }
    const size_t before = report_.pickles.size();
    ++outer_pickles_;
    const absl::Status status = ScanAnything(
        std::make_shared<MemorySource>("", std::move(bytes)), /*depth=*/1);
    --outer_pickles_;
    MQ_RETURN_IF_ERROR(status);
    // There is one for each tensor; those that are sound need no mention.
    auto& pickles = report_.pickles;
    pickles.erase(
        std::remove_if(pickles.begin() + static_cast<ptrdiff_t>(before),
                       pickles.end(),
                       [](const ScannedPickle& pickle) {
                         return pickle.verdict == ScanVerdict::kSafe;
                       }),
        pickles.end());
  }
  return absl::OkStatus();
}

}  // namespace monoquant
