// Guards: which names are safe, unknown and dangerous; what counts as a call of
// one; where it is found; and that every way that is known to get past a
// scanner ends here.

#include "frontends/pickle/pickle_policy.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "frontends/pickle/pickle_machine.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "ir/testing.h"

namespace monoquant {
namespace {

using testing::ExpectError;
using ::testing::HasSubstr;

constexpr GlobalVerdict kSafe = GlobalVerdict::kSafe;
constexpr GlobalVerdict kUnknown = GlobalVerdict::kUnknown;
constexpr GlobalVerdict kConditional = GlobalVerdict::kConditional;
constexpr GlobalVerdict kDangerous = GlobalVerdict::kDangerous;

TEST(GlobalVerdictTest, EveryKindOfName) {
  const struct {
    const char* module;
    const char* name;
    GlobalVerdict verdict;
  } kCases[] = {
      // What honest checkpoints call.
      {"collections", "OrderedDict", kSafe},
      {"collections", "Counter", kSafe},
      {"collections", "defaultdict", kSafe},
      {"torch._utils", "_rebuild_tensor_v2", kSafe},
      {"torch._utils", "_rebuild_qtensor", kSafe},
      {"torch._tensor", "_rebuild_from_type_v2", kSafe},
      {"torch", "FloatStorage", kSafe},
      {"torch", "float8_e4m3fn", kSafe},
      {"torch", "Size", kSafe},
      {"torch", "device", kSafe},
      {"torch.cuda", "HalfStorage", kSafe},
      {"torch.storage", "UntypedStorage", kSafe},
      {"torch.serialization", "_get_layout", kSafe},
      {"torch.jit._pickle", "build_tensorlist", kSafe},
      {"torch.nn.parameter", "Parameter", kSafe},
      {"_codecs", "encode", kSafe},
      {"numpy", "ndarray", kSafe},
      {"numpy", "dtype", kSafe},
      {"numpy.core.multiarray", "_reconstruct", kSafe},
      {"numpy._core.multiarray", "scalar", kSafe},
      {"numpy._core.numeric", "_frombuffer", kSafe},
      {"numpy.random._pickle", "__generator_ctor", kSafe},
      {"argparse", "Namespace", kSafe},
      {"pathlib", "PosixPath", kSafe},
      {"pathlib._local", "PosixPath", kSafe},
      {"datetime", "datetime", kSafe},
      {"copyreg", "_reconstructor", kSafe},
      {"uuid", "UUID", kSafe},
      {"re", "_compile", kSafe},
      {"builtins", "set", kSafe},
      {"builtins", "complex", kSafe},
      {"typing", "Any", kSafe},
      // Other people's classes.
      {"__main__", "Net", kUnknown},
      {"__torch__", "Net", kUnknown},
      {"torch.nn.modules.linear", "Linear", kUnknown},
      {"torch.nn.functional", "relu", kUnknown},
      {"ultralytics.nn.tasks", "DetectionModel", kUnknown},
      {"pytorch_lightning.callbacks.model_checkpoint", "ModelCheckpoint",
       kUnknown},
      {"omegaconf.dictconfig", "DictConfig", kUnknown},
      {"joblib.numpy_pickle", "NumpyArrayWrapper", kUnknown},
      {"my.pkg", "Outer.Inner", kUnknown},
      {"my.pkg", "Split.test", kUnknown},
      {"torch.storage", "_load_from_bytes", kUnknown},
      {"torch._dynamo.decorators", "_DimRange", kSafe},
      {"torch.testing._internal.two_tensor", "TwoTensor", kUnknown},
      // Folders that are called like everyday modules.
      {"code.nets", "Net", kUnknown},
      {"models.system", "System", kUnknown},
      {"collections2", "OrderedDict", kUnknown},
      {"osmodels", "Net", kUnknown},
      // By their arguments.
      {"builtins", "getattr", kConditional},
      {"functools", "partial", kConditional},
      // Programs and files.
      {"os", "system", kDangerous},
      {"posix", "system", kDangerous},
      {"nt", "system", kDangerous},
      {"os.path", "join", kDangerous},
      {"subprocess", "Popen", kDangerous},
      {"_posixsubprocess", "fork_exec", kDangerous},
      {"pty", "spawn", kDangerous},
      {"shutil", "rmtree", kDangerous},
      {"asyncio.unix_events", "_UnixSubprocessTransport._start", kDangerous},
      {"multiprocessing.util", "spawnv_passfds", kDangerous},
      {"distutils.file_util", "write_file", kDangerous},
      {"io", "FileIO", kDangerous},
      {"_io", "FileIO", kDangerous},
      {"logging", "FileHandler", kDangerous},
      {"pathlib", "Path.unlink", kDangerous},
      {"tempfile", "mktemp", kDangerous},
      {"sqlite3", "connect", kDangerous},
      {"mailcap", "findmatch", kDangerous},
      {"pipes", "Template", kDangerous},
      {"uuid", "_get_command_stdout", kDangerous},
      {"_osx_support", "_read_output", kDangerous},
      {"_aix_support", "_read_cmd_output", kDangerous},
      {"_pyrepl.pager", "pipe_pager", kDangerous},
      {"imaplib", "IMAP4_stream", kDangerous},
      {"test.support.script_helper", "assert_python_ok", kDangerous},
      // Code.
      {"builtins", "eval", kDangerous},
      {"builtins", "exec", kDangerous},
      {"builtins", "compile", kDangerous},
      {"builtins", "__import__", kDangerous},
      {"builtins", "open", kDangerous},
      {"builtins", "map", kDangerous},
      {"builtins", "dict.get", kDangerous},
      {"builtins", "str.format", kDangerous},
      {"builtins", "eval.__call__", kDangerous},
      {"runpy", "_run_code", kDangerous},
      {"importlib", "import_module", kDangerous},
      {"importlib.util", "spec_from_file_location", kDangerous},
      {"_frozen_importlib", "__import__", kDangerous},
      {"pkgutil", "resolve_name", kDangerous},
      {"marshal", "loads", kDangerous},
      {"types", "CodeType", kDangerous},
      {"types", "FunctionType", kDangerous},
      {"code", "InteractiveInterpreter.runcode", kDangerous},
      {"codeop", "compile_command", kDangerous},
      {"bdb", "Bdb.run", kDangerous},
      {"pdb", "run", kDangerous},
      {"cProfile", "runctx", kDangerous},
      {"profile", "Profile.run", kDangerous},
      {"trace", "Trace.runctx", kDangerous},
      {"timeit", "timeit", kDangerous},
      {"doctest", "debug_script", kDangerous},
      {"pydoc", "locate", kDangerous},
      {"ensurepip", "_run_pip", kDangerous},
      {"venv", "create", kDangerous},
      {"site", "addpackage", kDangerous},
      {"atexit", "register", kDangerous},
      {"ctypes", "CDLL", kDangerous},
      {"collections", "namedtuple", kDangerous},
      {"copyreg", "add_extension", kDangerous},
      {"idlelib.run", "Executive.runcode", kDangerous},
      {"idlelib.pyshell", "ModifiedInterpreter.runcommand", kDangerous},
      {"idlelib.autocomplete", "AutoComplete.get_entity", kDangerous},
      {"idlelib.calltip", "get_entity", kDangerous},
      {"idlelib.debugobj", "ObjectTreeItem.SetText", kDangerous},
      {"lib2to3.pgen2.grammar", "Grammar.loads", kDangerous},
      {"lib2to3.pgen2.pgen", "ParserGenerator.make_label", kDangerous},
      {"_xxsubinterpreters", "run_string", kDangerous},
      {"_interpreters", "exec", kDangerous},
      {"unittest.mock", "_importer", kDangerous},
      {"inspect", "getattr_static", kDangerous},
      {"gc", "get_objects", kDangerous},
      // Trampolines.
      {"operator", "attrgetter", kDangerous},
      {"operator", "methodcaller", kDangerous},
      {"operator", "itemgetter", kDangerous},
      {"_operator", "call", kDangerous},
      {"functools", "reduce", kDangerous},
      {"functools", "partialmethod", kDangerous},
      {"itertools", "starmap", kDangerous},
      {"_functools", "partial", kDangerous},
      {"weakref", "finalize", kDangerous},
      {"threading", "Timer", kDangerous},
      {"torch.utils._pytree", "tree_map", kDangerous},
      {"numpy", "vectorize", kDangerous},
      {"numpy", "apply_along_axis", kDangerous},
      // Pickles in pickles.
      {"pickle", "loads", kDangerous},
      {"_pickle", "Unpickler", kDangerous},
      {"shelve", "open", kDangerous},
      {"torch", "load", kDangerous},
      {"torch.serialization", "load", kDangerous},
      {"torch.jit", "load", kDangerous},
      {"torch.hub", "load", kDangerous},
      {"torch.package", "PackageImporter", kDangerous},
      {"numpy", "load", kDangerous},
      {"numpy.lib.npyio", "load", kDangerous},
      {"joblib", "load", kDangerous},
      {"joblib.externals.cloudpickle", "loads", kDangerous},
      {"cloudpickle.cloudpickle", "_make_function", kDangerous},
      {"dill._dill", "_create_function", kDangerous},
      {"pandas", "read_pickle", kDangerous},
      {"pandas.io.pickle", "read_pickle", kDangerous},
      {"gensim.utils", "unpickle", kDangerous},
      // The network.
      {"socket", "create_connection", kDangerous},
      {"ssl", "get_server_certificate", kDangerous},
      {"urllib.request", "urlopen", kDangerous},
      {"http.client", "HTTPSConnection", kDangerous},
      {"ftplib", "FTP", kDangerous},
      {"smtplib", "SMTP", kDangerous},
      {"webbrowser", "open", kDangerous},
      {"requests.api", "get", kDangerous},
      {"aiohttp", "ClientSession", kDangerous},
      // Packages.
      {"pip", "main", kDangerous},
      {"pip._internal.cli.main", "main", kDangerous},
      {"setuptools", "setup", kDangerous},
      {"pkg_resources", "load_entry_point", kDangerous},
      {"IPython", "embed", kDangerous},
      {"sympy", "sympify", kDangerous},
      {"numpy.testing._private.utils", "runstring", kDangerous},
      {"numpy.f2py.crackfortran", "getlincoef", kDangerous},
      {"numpy.f2py.crackfortran", "_eval_length", kDangerous},
      {"numpy.distutils.exec_command", "exec_command", kDangerous},
      {"torch._dynamo.guards", "GuardBuilder.get", kDangerous},
      {"torch._inductor.codecache", "compile_file", kDangerous},
      {"torch.fx.experimental.symbolic_shapes",
       "ShapeEnv.evaluate_guards_expression", kDangerous},
      {"torch.fx.graph_module", "reduce_graph_module", kDangerous},
      {"torch.jit.unsupported_tensor_ops", "execWrapper", kDangerous},
      {"torch.jit.annotations", "parse_type_line", kDangerous},
      {"torch.utils._config_module", "ConfigModule.load_config", kDangerous},
      {"torch.utils.bottleneck.__main__", "run_cprofile", kDangerous},
      {"torch.utils.bottleneck.__main__", "run_autograd_prof", kDangerous},
      {"torch.utils.collect_env", "run", kDangerous},
      {"torch.utils.cpp_extension", "load_inline", kDangerous},
      {"torch.utils.data.datapipes.utils.decoder", "basichandlers", kDangerous},
      {"torch.distributed.run", "main", kDangerous},
      {"torch.distributed.rpc", "rpc_sync", kDangerous},
      {"torch", "ops.load_library", kDangerous},
      // The standard library by another way.
      {"six.moves.builtins", "eval", kDangerous},
      {"six.moves", "builtins.eval", kDangerous},
      {"numpy", "core._internal.sys.modules", kDangerous},
      {"numpy", "__builtins__", kDangerous},
      {"torch.nn.modules.linear", "torch.os.system", kDangerous},
      {"torch.serialization", "os", kDangerous},
      {"my.pkg", "sys", kDangerous},
      {"my.pkg", "Net.forward.__globals__", kDangerous},
      {"my.pkg", "Net.__init__", kDangerous},
      {"my.pkg", "os.system", kDangerous},
      {"my.pkg", "eval", kDangerous},
      {"torch._utils", "_rebuild_tensor_v2.__globals__", kDangerous},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(static_cast<int>(JudgeGlobal(test.module, test.name)),
              static_cast<int>(test.verdict))
        << test.module << "." << test.name;
  }
}

// The first finding, or "".
std::string FirstFinding(const std::string& pickle) {
  const PickleRun run = RunPickle(pickle);
  const PickleAudit audit = AuditPickle(run.graph);
  return audit.findings.empty() ? "" : audit.findings[0].what;
}

TEST(PickleAuditTest, EveryWayToCall) {
  for (const char* pickle : {
           "cos\nsystem\n(S'id'\ntR.",
           "(S'id'\nios\nsystem\n.",
           "(cos\nsystem\nS'id'\no.",
           "cos\nsystem\n)\x81.",
           "cos\nsystem\n)}\x92.",
           "\x8c\x02os\x8c\x06system\x93)R.",
           // The result is thrown away, or never looked at.
           "cos\nsystem\n)R0N.",
           "cos\nsystem\n)Rq\x01"
           "0N.",
           "(cos\nsystem\n)R1N.",
           // By the memo, in which other strings were before.
           "\x8c\x01mq\x01"
           "0\x8c\x02osq\x01"
           "0\x8c\x06systemq\x02"
           "0h\x01h\x02\x93)R.",
       }) {
    SCOPED_TRACE(absl::CHexEscape(pickle));
    EXPECT_EQ(FirstFinding(pickle), "calls 'os.system'");
  }
  // Python 2's names.
  EXPECT_EQ(FirstFinding("c__builtin__\neval\n)R."), "calls 'builtins.eval'");
  EXPECT_EQ(FirstFinding("ccommands\ngetoutput\n)R."),
            "calls 'subprocess.getoutput'");
}

TEST(PickleAuditTest, WhatIsAFinding) {
  const struct {
    const char* pickle;
    const char* finding;
  } kCases[] = {
      // Named, kept, not run.
      {"cos\nsystem\n.", ""},
      {"}S'f'\ncos\nsystem\ns.", ""},
      {"cm\nC\n)\x81}S'f'\ncos\nsystem\nsb.", ""},
      {"ccollections\nOrderedDict\n(](S'f'\ncos\nsystem\nlatR.", ""},
      // Unknown classes may be called with unknown ones.
      {"cm\nf\n(cm\ng\nS'x'\ntR.", ""},
      // Handed to a call.
      {"cm\nf\n(cos\nsystem\nS'id'\ntR.", "passes 'os.system' to a call"},
      {"cm\nf\n(](cos\nsystem\netR.", "passes 'os.system' to a call"},
      {"cm\nf\n(((cos\nsystem\ntttR.", "passes 'os.system' to a call"},
      {"cm\nC\n)}S'f'\ncos\nsystem\ns\x92.", "passes 'os.system' to a call"},
      {"ccollections\ndefaultdict\n(cbuiltins\nbreakpoint\ntR.",
       "passes 'builtins.breakpoint' to a call"},
      {"ctorch._tensor\n_rebuild_from_type_v2\n(cos\nsystem\nN(S'id'\nt}tR.",
       "passes 'os.system' to a call"},
      {"cnumpy.random._pickle\n__generator_ctor\n(S'id'\ncos\nsystem\ntR.",
       "passes 'os.system' to a call"},
      {"ccopyreg\n_reconstructor\n(csubprocess\nPopen\nNNtR.",
       "passes 'subprocess.Popen' to a call"},
      // functools.partial
      {"cfunctools\npartial\n(cm\nf\ntR.", ""},
      {"cfunctools\npartial\n(cos\nsystem\ntR.",
       "passes 'os.system' to a call"},
      {"cfunctools\npartial\n(cm\nf\ntR(cos\nsystem\n(S'id'\nt}NtbN.",
       "passes 'os.system' to a call"},
      {"cfunctools\npartial\n)R.", "calls 'functools.partial'"},
      {"cfunctools\npartial\n(cbuiltins\ngetattr\ntR.",
       "passes 'builtins.getattr' to a call"},
      // getattr as old protocols write nested classes.
      {"cbuiltins\ngetattr\n(cm\nOuter\nS'Inner'\ntR.", ""},
      {"cbuiltins\ngetattr\n(cm\nOuter\nS'Inner'\ntR)\x81.", ""},
      {"cbuiltins\ngetattr\n(cbuiltins\ngetattr\n(cm\nA\nS'B'\ntRS'C'\ntR)R.",
       ""},
      {"cbuiltins\ngetattr\n(cm\nA\nS'_B'\ntR.", "calls 'builtins.getattr'"},
      {"cbuiltins\ngetattr\n(cm\nA\nS'a.b'\ntR.", "calls 'builtins.getattr'"},
      {"cbuiltins\ngetattr\n(cm\nA\nVa\ncm\nf\ntR.",
       "calls 'builtins.getattr'"},
      {"cbuiltins\ngetattr\n(ctorch.serialization\nos\nS'system'\ntR(S'id'"
       "\ntR.",
       "calls 'torch.serialization.os.system'"},
      {"cbuiltins\ngetattr\n(cm\nf\n)RS'method'\ntR.", ""},
      {"cbuiltins\ngetattr\n(cm\nf\n)RS'_infer_parameters'\ntR.", ""},
      {"c_operator\nor_\n(I1\nI2\ntR.", ""},
      {"cbuiltins\ngetattr\n(cm\nf\n)RS'method'\ntR)R.",
       "calls what another call returned"},
      {"cbuiltins\ngetattr\n(cm\nf\n)RS'__globals__'\ntR.",
       "calls 'builtins.getattr'"},
      {"cbuiltins\ngetattr\n(S'{0.__class__}'\nS'format'\ntR(Nt"
       "R.",
       "calls what another call returned"},
      // Results of calls, and other things that are no functions.
      {"cm\nf\n)R)R.", "calls what another call returned"},
      {"cnumpy\nsize\n(cnumpy\nsize\nS'eval'\ntR(S'1'\ntR.",
       "calls what another call returned"},
      {"S'id'\n)R.", ""},
      {"(S'storage'\ntQ)R.", "calls what a persistent id stands for"},
      // Old torch: a class with its source.
      {"(cm\nNet\nS'f'\nS's'\ntQ)\x81.", ""},
      {"(cos\nsystem\nS'f'\nS's'\ntQ)\x81.", "calls 'os.system'"},
      {"(S'module'\ncm\nNet\nS'f'\nS's'\ntQ)\x81.", ""},
      {"(S'module'\ncos\nsystem\nS'f'\nS's'\ntQ)\x81.", "calls 'os.system'"},
      // type and iter.
      {"cbuiltins\ntype\n(NtR.", ""},
      {"cbuiltins\ntype\n(S'C'\n)}tR.", "calls 'builtins.type'"},
      {"cbuiltins\niter\n(]tR.", ""},
      {"cbuiltins\niter\n(cm\nf\nNtR.", "calls 'builtins.iter'"},
      // List[int], and what looks like it.
      {"coperator\ngetitem\n(ctyping\nList\ncbuiltins\nint\ntR.", ""},
      {"coperator\ngetitem\n(cnumpy\n__builtins__\nS'eval'\ntR.",
       "calls 'operator.getitem'"},
      {"coperator\ngetitem\n(}S'a'\ntR.", "calls 'operator.getitem'"},
      // Patches of classes and modules.
      {"csys\nmodules\nS'm'\ncm\nf\ns.", "changes 'sys.modules'"},
      {"cos\nenviron\n(S'PATH'\nS'x'\nu.", "changes 'os.environ'"},
      {"csys\npath\nS'x'\na.", "changes 'sys.path'"},
      {"cnumpy\nprod\n(N}S'a'\nS'os'\nstb.", "changes 'numpy.prod'"},
      {"cbuiltins\ngetattr\n(cm\nA\nS'B'\ntR}S'x'\nNsb.", "changes 'm.A.B'"},
      // Names that the pickle computes.
      {"cbuiltins\nstr\n(S'os'\ntRS'system'\n\x93(S'id'\ntR.",
       "calls a function whose name the pickle computes"},
      {"\x82\x01)R.", "calls a function whose name the pickle computes"},
      {"ccopyreg\nadd_extension\n(S'os'\nS'system'\nI1\ntR.",
       "calls 'copyreg.add_extension'"},
      // The rest of the pickle does not matter.
      {"cos\nsystem\n)R\xff", "calls 'os.system'"},
      {"cos\nsystem\n)R", "calls 'os.system'"},
  };
  for (const auto& test : kCases) {
    EXPECT_EQ(FirstFinding(test.pickle), test.finding)
        << absl::CHexEscape(test.pickle);
  }
}

TEST(PickleAuditTest, SaysWhatIsUsedHowAndWhere) {
  const std::string pickle =
      "\x80\x02"
      "cm\nf\n0"                      // 2
      "cos\nsystem\n0"                // 8
      "cm\nf\n)R0"                    // 19; called at 25
      "cbuiltins\ngetattr\n(cm\nA\n"  // 27, 46
      "S'B'\ntR)\x81.";               // looked up at 57, called at 59
  const PickleRun run = RunPickle(pickle);
  ASSERT_TRUE(run.status.ok()) << run.status;
  const PickleAudit audit = AuditPickle(run.graph);
  EXPECT_TRUE(audit.findings.empty());
  ASSERT_EQ(audit.globals.size(), 5);

  const AuditedGlobal& f = audit.globals[0];
  EXPECT_EQ(f.verdict, kUnknown);
  EXPECT_EQ(f.mentions.positions, (std::vector<uint32_t>{2, 20}));
  EXPECT_EQ(f.op, PickleOp::kGlobal);
  EXPECT_EQ(GlobalUseName(f.use), "called");
  EXPECT_EQ(f.use_position, 26);
  EXPECT_EQ(f.use_op, PickleOp::kReduce);

  const AuditedGlobal& system = audit.globals[1];
  EXPECT_EQ(system.verdict, kDangerous);
  EXPECT_EQ(GlobalUseName(system.use), "referenced");

  const AuditedGlobal& getattr = audit.globals[2];
  EXPECT_EQ(getattr.verdict, kSafe);

  const AuditedGlobal& looked_up = audit.globals[4];
  EXPECT_EQ(looked_up.global.name, "A.B");
  EXPECT_EQ(looked_up.verdict, kUnknown);
  EXPECT_EQ(looked_up.op, PickleOp::kReduce);
  EXPECT_EQ(looked_up.use_op, PickleOp::kNewObj);
}

TEST(PickleAuditTest, FindingsAreInOrderAndBounded) {
  std::string pickle =
      "cos\nsystem\nq\x01"
      "0";
  for (int i = 0; i < 3000; ++i) pickle += "h\x01)R0";
  const PickleRun run = RunPickle(pickle + "N.");
  const PickleAudit audit = AuditPickle(run.graph);
  ASSERT_EQ(audit.findings.size(), PickleAudit::kMaxFindings);
  EXPECT_TRUE(std::is_sorted(
      audit.findings.begin(), audit.findings.end(),
      [](const auto& a, const auto& b) { return a.position < b.position; }));
}

// A million calls that share one list of a million classes are walked once.
TEST(PickleAuditTest, SharedArgumentsTakeNoTime) {
  std::string pickle = "](cm\nf\nq\x01";
  for (int i = 0; i < 300'000; ++i) pickle += "h\x01";
  pickle +=
      "e\x85q\x02"
      "0";
  for (int i = 0; i < 300'000; ++i) pickle += "h\x01h\x02R0";
  const PickleRun run = RunPickle(pickle + "N.");
  ASSERT_TRUE(run.status.ok()) << run.status;
  EXPECT_TRUE(AuditPickle(run.graph).findings.empty());
}

// Names that are looked up are the pickle's to invent: they are bounded too.
TEST(PickleAuditTest, LookedUpNamesAreBounded) {
  std::string pickle =
      "cbuiltins\ngetattr\nq\x01"
      "0cm\nA\nq\x02"
      "0";
  for (int i = 0; i < 200'000; ++i) {
    pickle += absl::StrCat("h\x01h\x02S'a", i, "'\n\x86R0");
  }
  const PickleRun run = RunPickle(pickle + "N.");
  ASSERT_TRUE(run.status.ok()) << run.status;
  const PickleAudit audit = AuditPickle(run.graph);
  EXPECT_LT(audit.globals.size(), 50'000);
  EXPECT_FALSE(audit.findings.empty());
}

TEST(CheckCallsTest, SaysWhatItFoundAndWhatToDo) {
  const PickleRun run = RunPickle("cos\nsystem\n(S'id'\ntR.");
  const absl::Status status = CheckCalls(run.graph);
  ExpectError(status, absl::StatusCode::kDataLoss,
              "byte 19: calls 'os.system' (not executed); refusing, ");
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("; get the file from a source that you trust, or read "
                        "its weights with --allow-opaque"));
  EXPECT_TRUE(CheckCalls(RunPickle("cm\nf\n)R.").graph).ok());
}

}  // namespace
}  // namespace monoquant
