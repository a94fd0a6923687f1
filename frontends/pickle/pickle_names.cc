#include "frontends/pickle/pickle_names.h"

#include <string>

#include "absl/strings/string_view.h"

namespace monoquant {
namespace {

struct RenamedModule {
  absl::string_view was;
  absl::string_view is;
};

constexpr RenamedModule kRenamedModules[] = {
    {"StringIO", "io"},
    {"UserDict", "collections"},
    {"UserList", "collections"},
    {"UserString", "collections"},
    {"__builtin__", "builtins"},
    {"_abcoll", "collections.abc"},
    {"_winreg", "winreg"},
    {"cPickle", "pickle"},
    {"cStringIO", "io"},
    {"commands", "subprocess"},
    {"copy_reg", "copyreg"},
    {"exceptions", "builtins"},
    {"torch.tensor", "torch._tensor"},
};

// After its module was renamed.
struct RenamedGlobal {
  absl::string_view module;
  absl::string_view was;
  absl::string_view is;
};

constexpr RenamedGlobal kRenamedGlobals[] = {
    {"builtins", "StandardError", "Exception"},
    {"builtins", "basestring", "str"},
    {"builtins", "long", "int"},
    {"builtins", "unichr", "chr"},
    {"builtins", "unicode", "str"},
    {"builtins", "xrange", "range"},
    {"collections", "IterableUserDict", "UserDict"},
};

}  // namespace

PickleGlobal CanonicalGlobal(PickleGlobal global) {
  for (const RenamedModule& row : kRenamedModules) {
    if (global.module == row.was) {
      global.module = std::string(row.is);
      break;
    }
  }
  for (const RenamedGlobal& row : kRenamedGlobals) {
    if (global.Is(row.module, row.was)) {
      global.name = std::string(row.is);
      break;
    }
  }
  return global;
}

}  // namespace monoquant
