#include "frontends/pickle/dangerous_globals.h"

#include <algorithm>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace monoquant {
namespace {

// With all that is below them. Most of the parts of torch and NumPy are here
// because a scanner was fooled with them.
constexpr absl::string_view kPackages[] = {
    // They install, build or load code.
    "Cython", "_distutils_hack", "cffi", "llvmlite", "pip", "pkg_resources",
    "pybind11", "pyximport", "setuptools", "virtualenv", "wheel",
    // They run what they are given: code, commands, templates.
    "IPython", "_pytest", "apscheduler", "asteval", "fabric", "fire", "hydra",
    "invoke", "ipykernel", "jinja2", "jupyter_client", "mako", "nbconvert",
    "nose", "notebook", "numexpr", "pexpect", "plumbum", "psutil", "ptyprocess",
    "pytest", "sh", "sympy", "tox",
    // They unpickle, or pickle code itself.
    "cloudpickle", "dask", "dill", "joblib.externals", "joblib.memory",
    "joblib.numpy_pickle_utils", "jsonpickle", "multiprocess",
    "pandas.compat.pickle_compat", "pandas.core.computation", "pandas.io",
    "pathos", "ray.cloudpickle", "ruamel", "srsly.cloudpickle", "yaml",
    // They run things elsewhere, or talk to the network.
    "Pyro4", "Pyro5", "aiohttp", "billiard", "boto3", "botocore", "celery",
    "datasets.load", "execnet", "fsspec", "gcsfs", "gdown", "gevent", "gradio",
    "grpc", "httplib2", "httpx", "huggingface_hub", "kombu", "mlflow",
    "paramiko", "pycurl", "requests", "rpyc", "s3fs", "smart_open", "streamlit",
    "tornado", "twisted", "urllib3", "websocket", "websockets", "wget", "zmq",
    // The standard library under other names.
    "future", "past", "six",
    // Parts of NumPy and SciPy that evaluate text, run compilers, read files.
    "numpy.compat", "numpy.ctypeslib", "numpy.distutils", "numpy.f2py",
    "numpy.lib._datasource", "numpy.lib._npyio_impl", "numpy.lib._utils_impl",
    "numpy.lib.format", "numpy.lib.npyio", "numpy.lib.utils", "numpy.testing",
    "scipy.io", "scipy.weave",
    // Parts of torch that do.
    "torch._C._jit", "torch._classes", "torch._deploy", "torch._dynamo",
    "torch._export", "torch._functorch", "torch._higher_order_ops",
    "torch._inductor", "torch._jit_internal", "torch._lazy", "torch._logging",
    "torch._numpy.testing", "torch._ops", "torch._sources",
    "torch._utils_internal", "torch._weights_only_unpickler", "torch.classes",
    "torch.contrib", "torch.cuda._memory_viz",
    "torch.distributed.argparse_util", "torch.distributed.elastic",
    "torch.distributed.launch", "torch.distributed.launcher",
    "torch.distributed.nn", "torch.distributed.rpc", "torch.distributed.run",
    "torch.export", "torch.fx._lazy_graph_module", "torch.fx.experimental",
    "torch.fx.graph_module", "torch.hub", "torch.jit", "torch.multiprocessing",
    "torch.onnx", "torch.ops", "torch.package", "torch.profiler",
    "torch.serialization", "torch.testing._internal.common_utils",
    "torch.utils._config_module", "torch.utils._content_store",
    "torch.utils._cpp_extension_versioner", "torch.utils.benchmark",
    "torch.utils.bottleneck", "torch.utils.collect_env",
    "torch.utils.cpp_extension", "torch.utils.data.datapipes.utils.decoder",
    "torch.utils.hipify", "torch.utils.model_dump", "torch.utils.model_zoo",
    "torch.utils.show_pickle", "torch.utils.tensorboard",
    // And what stands around torch.
    "deepspeed.launcher", "deepspeed.ops.op_builder", "keras.models",
    "keras.saving", "matplotlib.testing", "nltk.data", "nltk.downloader",
    "nltk.internals", "sklearn.datasets", "sklearn.utils._testing",
    "statsmodels.iolib", "tensorflow.io", "tensorflow.keras.models",
    "tensorflow.python.framework.load_library", "torchaudio.utils",
    "torchtext.utils", "torchvision._internally_replaced_utils",
    "torchvision.datasets.utils", "torchvision.extension", "torchvision.io",
    "triton"};

// Single functions: module, and names separated by single spaces. They and
// their attributes.
struct Functions {
  absl::string_view module;
  absl::string_view names;
};

constexpr Functions kFunctions[] = {
    {"gensim.utils", "SaveLoad unpickle"},
    {"joblib", "Memory Parallel load"},
    {"joblib.numpy_pickle", "NumpyUnpickler load load_temporary_memmap"},
    {"networkx", "read_gpickle"},
    {"numpy",
     "DataSource apply_along_axis apply_over_axes frompyfunc fromfile "
     "fromfunction fromregex genfromtxt load loadtxt memmap piecewise save "
     "savetxt savez savez_compressed vectorize"},
    {"numpy.lib.function_base", "vectorize"},
    {"numpy.lib._function_base_impl", "vectorize"},
    {"pandas",
     "ExcelFile HDFStore eval read_clipboard read_csv read_excel read_feather "
     "read_fwf read_hdf read_html read_json read_orc read_parquet read_pickle "
     "read_sas read_spss read_sql read_stata read_table read_xml"},
    {"torch",
     "classes compile export hub import_ir_module jit library load "
     "load_library ops save"},
    {"torch._C", "PyTorchFileReader import_ir_module"},
    {"torch.fx", "GraphModule symbolic_trace"},
    {"torch.utils._pytree", "tree_map treespec_loads"},
};

// Parts of dotted names: modules first, then functions and the places from
// which the rest can be reached. Names that people also use for their own
// classes and enum members are not here: "code", "run", "test".
constexpr absl::string_view kParts[] = {"_imp",
                                        "_io",
                                        "_pickle",
                                        "_posixsubprocess",
                                        "asyncio",
                                        "bdb",
                                        "builtins",
                                        "cPickle",
                                        "cProfile",
                                        "cloudpickle",
                                        "codeop",
                                        "compileall",
                                        "ctypes",
                                        "dill",
                                        "distutils",
                                        "doctest",
                                        "ensurepip",
                                        "ftplib",
                                        "gc",
                                        "imp",
                                        "importlib",
                                        "inspect",
                                        "joblib",
                                        "linecache",
                                        "marshal",
                                        "mmap",
                                        "multiprocessing",
                                        "nt",
                                        "os",
                                        "pdb",
                                        "pickle",
                                        "pip",
                                        "pkgutil",
                                        "popen2",
                                        "posix",
                                        "pty",
                                        "py_compile",
                                        "pydoc",
                                        "requests",
                                        "runpy",
                                        "shelve",
                                        "shutil",
                                        "smtplib",
                                        "socket",
                                        "socketserver",
                                        "sqlite3",
                                        "ssl",
                                        "subprocess",
                                        "sys",
                                        "sysconfig",
                                        "tarfile",
                                        "tempfile",
                                        "timeit",
                                        "traceback",
                                        "urllib",
                                        "venv",
                                        "webbrowser",
                                        "zipfile",
                                        "zipimport",
                                        "check_call",
                                        "check_output",
                                        "eval",
                                        "exec",
                                        "exec_module",
                                        "execfile",
                                        "execl",
                                        "execle",
                                        "execlp",
                                        "execlpe",
                                        "execv",
                                        "execve",
                                        "execvp",
                                        "execvpe",
                                        "f_builtins",
                                        "f_globals",
                                        "f_locals",
                                        "func_code",
                                        "func_globals",
                                        "getoutput",
                                        "getstatusoutput",
                                        "gi_frame",
                                        "import_module",
                                        "load_module",
                                        "load_source",
                                        "mro",
                                        "popen",
                                        "popen3",
                                        "popen4",
                                        "posix_spawn",
                                        "posix_spawnp",
                                        "spawnl",
                                        "spawnle",
                                        "spawnlp",
                                        "spawnlpe",
                                        "spawnv",
                                        "spawnve",
                                        "spawnvp",
                                        "spawnvpe",
                                        "startfile",
                                        "system",
                                        "tb_frame"};

// Of the path of a module, only these: people have folders called "system".
constexpr absl::string_view kModuleParts[] = {
    "builtins", "ctypes", "importlib", "nt",         "os", "posix",
    "pty",      "runpy",  "shutil",    "subprocess", "sys"};

bool IsBelow(absl::string_view module, absl::string_view package) {
  return absl::StartsWith(module, package) &&
         (module.size() == package.size() || module[package.size()] == '.');
}

}  // namespace

bool IsDangerousPackage(absl::string_view module, absl::string_view name) {
  for (absl::string_view package : kPackages) {
    if (IsBelow(module, package)) return true;
  }
  for (absl::string_view part : absl::StrSplit(module, '.')) {
    if (std::find(std::begin(kModuleParts), std::end(kModuleParts), part) !=
        std::end(kModuleParts)) {
      return true;
    }
  }
  const absl::string_view first = name.substr(0, name.find('.'));
  for (const Functions& row : kFunctions) {
    if (row.module != module) continue;
    for (absl::string_view function : absl::StrSplit(row.names, ' ')) {
      if (function == first) return true;
    }
  }
  return false;
}

bool IsDangerousPart(absl::string_view part) {
  if (part.size() > 4 && absl::StartsWith(part, "__") &&
      absl::EndsWith(part, "__")) {
    return true;
  }
  return std::find(std::begin(kParts), std::end(kParts), part) !=
         std::end(kParts);
}

}  // namespace monoquant
