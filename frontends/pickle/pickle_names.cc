#include "frontends/pickle/pickle_names.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "ir/quoted.h"

namespace monoquant {
namespace {

struct Renamed {
  absl::string_view was;
  absl::string_view is;
};

constexpr Renamed kRenamedModules[] = {
    {"UserDict", "collections"}, {"UserList", "collections"},
    {"__builtin__", "builtins"}, {"_winreg", "winreg"},
    {"cPickle", "pickle"},       {"commands", "subprocess"},
    {"copy_reg", "copyreg"},     {"torch.tensor", "torch._tensor"},
};

// A row without a name stands for every function of the module.
struct Dangerous {
  absl::string_view module;
  absl::string_view name;
};

constexpr Dangerous kDangerous[] = {
    // Programs, files, the machine.
    {"os", ""},
    {"nt", ""},
    {"posix", ""},
    {"pty", ""},
    {"subprocess", ""},
    {"_posixsubprocess", ""},
    {"shutil", ""},
    {"sys", ""},
    {"ctypes", ""},
    // Code.
    {"builtins", "__import__"},
    {"builtins", "breakpoint"},
    {"builtins", "compile"},
    {"builtins", "delattr"},
    {"builtins", "eval"},
    {"builtins", "exec"},
    {"builtins", "execfile"},
    {"builtins", "getattr"},
    {"builtins", "globals"},
    {"builtins", "input"},
    {"builtins", "locals"},
    {"builtins", "open"},
    {"builtins", "setattr"},
    {"builtins", "vars"},
    {"bdb", ""},
    {"cProfile", "run"},
    {"cProfile", "runctx"},
    {"code", "InteractiveConsole"},
    {"code", "InteractiveInterpreter"},
    {"code", "interact"},
    {"importlib", ""},
    {"importlib._bootstrap", ""},
    {"imp", ""},
    {"marshal", ""},
    {"operator", "attrgetter"},
    {"operator", "methodcaller"},
    {"_operator", "attrgetter"},
    {"_operator", "methodcaller"},
    {"pdb", ""},
    {"pip", ""},
    {"pip._internal", ""},
    {"pkgutil", ""},
    {"profile", "run"},
    {"profile", "runctx"},
    {"runpy", ""},
    {"timeit", "repeat"},
    {"timeit", "timeit"},
    {"types", "CodeType"},
    {"types", "FunctionType"},
    {"zipimport", ""},
    // Pickles inside the pickle.
    {"_pickle", ""},
    {"cloudpickle", "loads"},
    {"dill", "loads"},
    {"dill._dill", "loads"},
    {"joblib", "load"},
    {"pickle", ""},
    {"shelve", ""},
    {"torch", "load"},
    {"torch.hub", ""},
    {"torch.jit", "load"},
    {"torch.serialization", "load"},
    {"torch.utils.cpp_extension", ""},
    // The network.
    {"ftplib", ""},
    {"http.client", ""},
    {"http.server", ""},
    {"requests", ""},
    {"requests.api", ""},
    {"smtplib", ""},
    {"socket", ""},
    {"urllib.request", ""},
    {"webbrowser", ""},
};

}  // namespace

PickleGlobal CanonicalGlobal(PickleGlobal global) {
  for (const Renamed& row : kRenamedModules) {
    if (global.module == row.was) {
      global.module = std::string(row.is);
      break;
    }
  }
  return global;
}

absl::Status CheckCall(const PickleGlobal& global) {
  // Protocol 4 allows attributes: "eval.__call__" is as bad as "eval".
  const absl::string_view name =
      absl::string_view(global.name).substr(0, global.name.find('.'));
  for (const Dangerous& row : kDangerous) {
    if (global.module != row.module) continue;
    if (!row.name.empty() && name != row.name) continue;
    return absl::DataLossError(absl::StrCat(
        "calls ", QuotedName(absl::StrCat(global.module, ".", global.name)),
        " (not executed); refusing, since no honest checkpoint does so; get "
        "the file from a source that you trust"));
  }
  return absl::OkStatus();
}

}  // namespace monoquant
