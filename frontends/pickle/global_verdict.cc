#include "frontends/pickle/global_verdict.h"

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "frontends/pickle/dangerous_globals.h"
#include "frontends/pickle/safe_globals.h"
#include "frontends/pickle/stdlib_modules.h"

namespace monoquant {
namespace {

struct Pair {
  absl::string_view module;
  absl::string_view name;
};

constexpr Pair kConditional[] = {
    {"_operator", "getitem"}, {"builtins", "getattr"},  {"builtins", "iter"},
    {"builtins", "type"},     {"functools", "partial"}, {"operator", "getitem"},
};

bool HasDangerousPart(absl::string_view name) {
  for (absl::string_view part : absl::StrSplit(name, '.')) {
    if (IsDangerousPart(part)) return true;
  }
  return false;
}

}  // namespace

GlobalVerdict JudgeGlobal(absl::string_view module, absl::string_view name) {
  if (module == kComputedModule) return GlobalVerdict::kDangerous;
  if (IsSafeGlobal(module, name)) return GlobalVerdict::kSafe;
  for (const Pair& pair : kConditional) {
    if (module == pair.module && name == pair.name) {
      return GlobalVerdict::kConditional;
    }
  }
  // torch pickles storages so, where torch.save was not used. What it loads is
  // in the pickle itself, where a scan finds it.
  if (module == "torch.storage" && name == "_load_from_bytes") {
    return GlobalVerdict::kUnknown;
  }
  if (IsStdlibModule(module) || IsDangerousPackage(module, name) ||
      HasDangerousPart(name)) {
    return GlobalVerdict::kDangerous;
  }
  return GlobalVerdict::kUnknown;
}

bool IsIdentifier(absl::string_view name) {
  if (name.empty() ||
      absl::ascii_isdigit(static_cast<unsigned char>(name[0]))) {
    return false;
  }
  for (char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    // Letters of other scripts are beyond ASCII.
    if (!absl::ascii_isalnum(byte) && c != '_' && byte < 0x80) return false;
  }
  return true;
}

}  // namespace monoquant
