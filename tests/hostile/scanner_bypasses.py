"""Pickles that run a program when Python loads them, in every way by which one
has been hidden from a scanner.

Each would make a file named CANARY in the working directory. LIVE are those
that need nothing but Python: the test loads them in Python first, to see that
the canary sings there.
"""

import struct
import zlib

from tests.hostile import legacy_cases, zips
from tests.hostile.case import EITHER, ERROR, directory_case, file_case
from tests.hostile.pickles import *

COMMAND = "echo > CANARY"
PYTHON = "open('CANARY', 'w').close()"
IMPORT = "__import__('os').system('%s')" % COMMAND
_WEIGHTS = {"0": struct.pack("<4f", 1, 2, 3, 4)}


def _with(payload, proto=2):
    """A state dict with a payload beside its tensor."""
    return program(dict_((text("w"), tensor()), (text("x"), payload)),
                   proto=proto)


def _run(module, name, *args):
    return call(global_(module, name), *[text(arg) for arg in args])


# name: (instructions of one value, protocol). Refused: these are calls of
# things that no checkpoint calls.
_REFUSED = {
    "os_system": (_run("os", "system", COMMAND), 2),
    "posix_system": (_run("posix", "system", COMMAND), 2),
    "os_popen": (_run("os", "popen", COMMAND), 2),
    "subprocess_call": (call(global_("subprocess", "getoutput"),
                             text(COMMAND)), 2),
    "subprocess_check": (call(global_("subprocess", "check_call"),
                              list_(text("touch"), text("CANARY"))), 2),
    "eval": (_run("builtins", "eval", IMPORT), 2),
    "exec": (_run("builtins", "exec", PYTHON), 2),
    "open": (_run("builtins", "open", "CANARY", "w"), 2),
    "python2_names": (_run("__builtin__", "eval", IMPORT), 2),
    "python2_commands": (_run("commands", "getoutput", COMMAND), 2),
    "stack_global": (call(stack_global("os", "system"), text(COMMAND)), 4),
    "stack_global_by_memo": (
        text("os") + put(7) + POP + text("system") + put(8) + POP + get(7) +
        get(8) + STACK_GLOBAL + text(COMMAND) + TUPLE1 + REDUCE, 4),
    "stack_global_by_memoize": (
        text("system") + MEMOIZE + POP + text("os") + MEMOIZE + b"h\0" +
        STACK_GLOBAL + text(COMMAND) + TUPLE1 + REDUCE, 4),
    "stack_global_by_dup": (
        text("eval") + text("builtins") + put(0) + POP + put(1) + POP + get(0) +
        get(1) + STACK_GLOBAL + text(IMPORT) + TUPLE1 + REDUCE, 4),
    "stack_global_of_unicode8": (
        b"\x8d" + struct.pack("<Q", 2) + b"os" + b"V" + b"s\\u0079stem\n" +
        STACK_GLOBAL + text(COMMAND) + TUPLE1 + REDUCE, 4),
    "memo_set_twice": (
        text("math") + put(1) + POP + text("os") + put(1) + POP + get(1) +
        text("system") + STACK_GLOBAL + text(COMMAND) + TUPLE1 + REDUCE, 4),
    "dotted_name": (call(stack_global("builtins", "eval.__call__"),
                         text(IMPORT)), 4),
    "nested_getattr": (
        call(call(global_("builtins", "getattr"),
                  call(global_("builtins", "__import__"), text("os")),
                  text("system")), text(COMMAND)), 2),
    "inst": (MARK + text(COMMAND) + b"ios\nsystem\n", 0),
    "inst_python2": (MARK + text(IMPORT) + b"i__builtin__\neval\n", 0),
    "obj": (MARK + global_("os", "system") + text(COMMAND) + b"o", 2),
    "subprocess_instance": (
        call(global_("subprocess", "Popen"),
             list_(text("touch"), text("CANARY"))), 2),
    "newobj": (global_("builtins", "exec") + tuple_(text(PYTHON)) + NEWOBJ, 2),
    "protocol_0": (b"cos\nsystem\n(S'" + COMMAND.encode() + b"'\ntR", 0),
    "callee_by_memo": (global_("os", "system") + put(3) + POP + NONE + POP +
                       get(3) + text(COMMAND) + TUPLE1 + REDUCE, 2),
    "args_by_memo": (tuple_(text(COMMAND)) + put(3) + POP +
                     global_("os", "system") + get(3) + REDUCE, 2),
    "popped_result": (_run("os", "system", COMMAND) + POP + NONE, 2),
    "popped_by_mark": (MARK + _run("os", "system", COMMAND) + b"1" + NONE, 2),
    "inside_of_a_key": (dict_((_run("os", "system", COMMAND), NONE)), 2),
    "inside_of_a_frozenset": (MARK + _run("os", "system", COMMAND) + b"\x91",
                              4),
    "proto_in_the_middle": (b"\x80\x04" + _run("os", "system", COMMAND), 2),
    "frame_around": (b"\x95" + struct.pack("<Q", 1) +
                     _run("os", "system", COMMAND), 4),
    "runpy": (call(global_("runpy", "_run_code"), text(PYTHON), EMPTY_DICT), 2),
    "importlib": (_run("importlib", "import_module", "antigravity"), 2),
    "pip_main": (call(global_("pip", "main"), list_(text("install"),
                                                   text("canary"))), 2),
    "pip_internal": (call(global_("pip._internal", "main"),
                          list_(text("install"), text("canary"))), 2),
    "methodcaller": (
        call(call(global_("operator", "methodcaller"), text("system"),
                  text(COMMAND)),
             call(global_("builtins", "__import__"), text("os"))), 2),
    "code_interpreter": (
        call(global_("code", "InteractiveInterpreter")), 2),
    "timeit": (call(global_("timeit", "timeit"), text(PYTHON), text("pass"),
                    global_("time", "time"), number(1)), 2),
    "profile_runctx": (call(global_("cProfile", "runctx"), text(PYTHON),
                            EMPTY_DICT, EMPTY_DICT), 2),
    "pickle_loads": (call(global_("pickle", "loads"), b"C\x00"), 3),
    "pickle_in_pickle": (
        call(global_("pickle", "loads"),
             b"C" + bytes([len(program(_run("os", "system", COMMAND)))]) +
             program(_run("os", "system", COMMAND))), 3),
    "torch_hub": (_run("torch.hub", "load", "canary/canary", "canary"), 2),
    "torch_load": (_run("torch", "load", "canary.pt"), 2),
    "ctypes": (_run("ctypes", "CDLL", "./canary.so"), 2),
    "urllib": (_run("urllib.request", "urlopen", "http://127.0.0.1:9/"), 2),
    "webbrowser": (_run("webbrowser", "open", "http://127.0.0.1:9/"), 2),
    "shutil": (_run("shutil", "rmtree", "model.pt"), 2),
}

# Calls by detours that only the opaqueness of every call defends from: what
# the program thinks of them is its policy, that they do nothing is a fact.
_ODD = {
    "partial": (
        call(call(global_("functools", "partial"), global_("os", "system"),
                  text(COMMAND))), 2),
    "reduce": (
        call(global_("functools", "reduce"), global_("builtins", "exec"),
             list_(text(PYTHON), EMPTY_DICT)), 2),
    "map": (
        call(global_("builtins", "list"),
             call(global_("builtins", "map"), global_("os", "system"),
                  list_(text(COMMAND)))), 2),
    "dotted_module": (_run("os.path", "os.system", COMMAND), 4),
    "foreign_module_has_os": (call(stack_global("fileinput", "os.system"),
                                   text(COMMAND)), 4),
    "module_of_torch_has_os": (call(stack_global("torch.serialization",
                                                 "os.system"), text(COMMAND)),
                               4),
    "tempfile_has_os": (call(stack_global("tempfile", "_os.system"),
                             text(COMMAND)), 4),
    "idle_calltip": (_run("idlelib.calltip", "get_entity", IMPORT), 2),
    "idle_autocomplete": (call(stack_global(
        "idlelib.autocomplete", "AutoComplete.get_entity"), NONE,
        text(IMPORT)), 4),
    "bdb_run": (call(stack_global("bdb", "Bdb.run"), call(
        global_("bdb", "Bdb")), text(PYTHON)), 4),
    "trace_run": (call(stack_global("trace", "Trace.run"), call(
        global_("trace", "Trace")), text(PYTHON)), 4),
    "doctest": (_run("doctest", "debug_script", PYTHON), 2),
    "pydoc_pipe": (_run("pydoc", "pipepager", "", COMMAND), 2),
    "uuid": (_run("uuid", "_get_command_stdout", "touch", "CANARY"), 2),
    "osx_support": (_run("_osx_support", "_read_output", COMMAND), 2),
    "aix_support": (_run("_aix_support", "_read_cmd_output", COMMAND), 2),
    "ensurepip": (call(global_("ensurepip", "_run_pip"), list_(text("list"))),
                  2),
    "lib2to3_grammar": (call(stack_global("lib2to3.pgen2.grammar",
                                          "Grammar.loads"), NONE, NONE), 4),
    "logging_handler": (_run("logging", "FileHandler", "CANARY"), 2),
    "sqlite": (_run("sqlite3", "connect", "CANARY"), 2),
    "distutils_write": (call(global_("distutils.file_util", "write_file"),
                             text("CANARY"), list_(text("x"))), 2),
    "pathlib_touch": (call(stack_global("pathlib", "Path.touch"), call(
        global_("pathlib", "PosixPath"), text("CANARY"))), 4),
    "zipfile_write": (_run("zipfile", "ZipFile", "CANARY", "w"), 2),
    "fileinput": (call(global_("io", "FileIO"), text("CANARY"), text("w")), 2),
    "linecache": (_run("linecache", "getline", "/etc/passwd"), 2),
    "ssl": (call(global_("ssl", "get_server_certificate"),
                 tuple_(text("127.0.0.1"), number(9))), 2),
    "socket": (call(global_("asyncio", "run"), NONE), 2),
    "gc_objects": (call(global_("gc", "get_objects")), 2),
    "numpy_runstring": (call(global_("numpy.testing._private.utils",
                                     "runstring"), text(PYTHON), EMPTY_DICT),
                        2),
    "numpy_f2py": (_run("numpy.f2py.crackfortran", "myeval", IMPORT), 2),
    "torch_guards": (call(stack_global(
        "torch.fx.experimental.symbolic_shapes",
        "ShapeEnv.evaluate_guards_expression"), NONE, text(IMPORT), NONE), 4),
    "torch_exec_wrapper": (call(
        global_("torch.jit.unsupported_tensor_ops", "execWrapper"),
        text(PYTHON), EMPTY_DICT, EMPTY_DICT), 2),
    "torch_collect_env": (_run("torch.utils.collect_env", "run", COMMAND), 2),
    "torch_config": (call(stack_global(
        "torch.utils._config_module", "ConfigModule.load_config"), NONE, NONE),
        4),
    "torch_load_from_bytes": (call(
        global_("torch.storage", "_load_from_bytes"), text("x")), 2),
    "torch_inductor": (_run("torch._inductor.codecache", "compile_file", "x",
                            "y", "z"), 2),
    "torch_bottleneck": (_run("torch.utils.bottleneck.__main__",
                              "run_autograd_prof", PYTHON, "x"), 2),
    "attribute_of_an_allowed_name": (call(stack_global(
        "torch._utils", "_rebuild_tensor_v2.__globals__.__getitem__"),
        text("os")), 4),
    "allowed_name_of_another_module": (_run("torch._utils.os", "system",
                                            COMMAND), 2),
    "allowed_prefix": (_run("torch._utilsx", "_rebuild_tensor_v2", COMMAND), 2),
    "name_with_spaces": (_run(" os", "system ", COMMAND), 2),
    "name_with_return": (b"cos\r\nsystem\r\n" + text(COMMAND) + TUPLE1 +
                         REDUCE, 2),
    "name_of_full_width_letters": (call(stack_global("\uff4f\uff53",
                                                     "system"), text(COMMAND)),
                                   4),
    "name_with_a_zero": (call(stack_global("os\0", "system"), text(COMMAND)),
                         4),
    "setstate_by_build": (new(global_("zipfile", "ZipFile"), dict_(
        (text("filename"), text("CANARY")))), 2),
    "build_on_a_function": (global_("os", "system") + dict_(
        (text("__call__"), NONE)) + BUILD, 2),
    "extension_code": (call(global_("copyreg", "add_extension"), text("os"),
                            text("system"), number(66)) + POP + b"\x82\x42" +
                       text(COMMAND) + TUPLE1 + REDUCE, 2),
    "setitem_in_sys_modules": (global_("sys", "modules") + text("os") + NONE +
                               SETITEM, 2),
    "default_factory": (call(global_("collections", "defaultdict"),
                             global_("os", "abort")), 2),
    "only_named": (global_("os", "system"), 2),
}

# Loaded by Python, these make the canary.
LIVE = [
    "os_system", "posix_system", "os_popen", "subprocess_call",
    "subprocess_check", "subprocess_instance", "eval", "exec", "open", "python2_names", "stack_global",
    "stack_global_by_memo", "stack_global_by_memoize", "stack_global_by_dup",
    "stack_global_of_unicode8", "memo_set_twice", "dotted_name",
    "nested_getattr", "inst", "inst_python2", "obj", "protocol_0",
    "callee_by_memo", "args_by_memo", "popped_result", "popped_by_mark",
    "inside_of_a_key", "inside_of_a_frozenset", "proto_in_the_middle", "runpy",
    "methodcaller", "timeit", "profile_runctx", "pickle_in_pickle", "partial",
    "reduce", "map", "foreign_module_has_os", "tempfile_has_os", "bdb_run",
    "trace_run", "logging_handler", "sqlite", "pathlib_touch", "zipfile_write",
    "fileinput", "extension_code",
]


def payload(name):
    """A bare pickle that Python can load: the payload without tensors."""
    instructions, proto = {**_REFUSED, **_ODD}[name]
    return program(instructions, proto=proto)


def _hidden():
    """The right place for no pickle, or the wrong one for this one."""
    evil = program(_run("os", "system", COMMAND))
    good = program(state_dict(w=tensor()))
    members = zips.torch_members(good, _WEIGHTS)
    data, directory = members[0], "archive/"

    def archive(name, *more, outcome=EITHER, **of_end):
        return file_case("bypass_" + name,
                         zips.archive([*more], **of_end), outcome)

    def put_at(name, path, outcome=EITHER):
        return archive(name, *members, zips.Member(path, evil),
                       outcome=outcome)

    yield put_at("in_constants", b"archive/constants.pkl")
    yield put_at("in_a_side_pickle", b"archive/extra.pkl")
    yield put_at("in_attributes", b"archive/attributes.pkl")
    yield put_at("in_bytecode", b"archive/bytecode.pkl")
    yield put_at("in_another_root", b"other/data.pkl", ERROR)
    yield put_at("in_a_root_of_case", b"Archive/data.pkl", ERROR)
    yield put_at("in_code", b"archive/code/__torch__.py")
    yield put_at("in_version", b"archive/.data/version")
    yield put_at("as_byteorder", b"archive/byteorder", ERROR)
    yield archive("twice", *members, zips.Member(data.name, evil),
                  outcome=ERROR)
    yield archive("in_the_second_of_two", zips.Member(data.name, evil),
                  *members, outcome=ERROR)
    yield archive("behind_another_name", data._replace(
        data=evil, local_name=b"archive/data.txt"), *members[1:],
        outcome=ERROR)
    yield archive("named_only_locally", zips.Member(
        b"archive/datA.txt", evil, local_name=b"archive/data.pkl"),
        *members[1:], outcome=ERROR)
    for flag in (0x1, 0x40, 0x2000):
        yield archive("encrypted_by_flag_%x" % flag, data._replace(
            data=evil, flags=flag), *members[1:], outcome=ERROR)
        yield archive("encrypted_locally_%x" % flag, data._replace(
            data=evil, flags=flag, local_flags=0), *members[1:], outcome=ERROR)
    yield archive("wrong_crc", data._replace(data=evil, crc=1), *members[1:],
                  outcome=ERROR)
    yield archive("all_crc_zero", *[
        m._replace(data=evil if m is data else m.data, crc=0)
        for m in members], outcome=ERROR)
    yield archive("size_of_zero", data._replace(
        data=evil, size=0, stored=0), *members[1:], outcome=ERROR)
    yield archive("method_99", data._replace(data=evil, method=99),
                  *members[1:], outcome=ERROR)
    yield archive("deflated", data._replace(data=evil, deflate=True),
                  *members[1:], outcome=ERROR)
    yield archive("behind_a_second_end", *members[1:], outcome=ERROR,
                  end_comment=zips.archive([data._replace(data=evil)]))
    yield archive("before_the_archive", *members, outcome=ERROR,
                  prefix=evil)
    yield archive("after_stop", zips.Member(data.name, good + evil),
                  *members[1:])
    yield archive("broken_after", zips.Member(
        data.name, evil[:-1] + b"0\xff\xff"), *members[1:], outcome=ERROR)
    yield archive("without_stop", zips.Member(data.name, evil[:-1]),
                  *members[1:], outcome=ERROR)
    yield file_case("bypass_bare", evil, ERROR)
    yield file_case("bypass_bare_as_safetensors", evil, ERROR, ".safetensors")
    yield file_case("bypass_bare_as_index", evil, ERROR, ".index.json")
    yield file_case("bypass_bare_as_bin", evil, ERROR, ".bin")
    yield file_case("bypass_bare_protocol_0", payload("protocol_0")[2:], ERROR)
    yield file_case("bypass_bare_compressed", zlib.compress(evil), ERROR)
    yield file_case("bypass_7z", b"7z\xbc\xaf\x27\x1c\0\4" + evil * 3, ERROR)
    yield file_case("bypass_in_a_web_page", b"<html><pre>" + evil, ERROR)
    yield file_case("bypass_as_zip_with_wrong_name", zips.torch_zip(
        _with(_REFUSED["os_system"][0]), _WEIGHTS), ERROR, ".safetensors")
    yield file_case("bypass_as_text", zips.torch_zip(
        _with(_REFUSED["os_system"][0]), _WEIGHTS), ERROR, ".txt")
    yield directory_case("bypass_in_a_shard", {
        "pytorch_model.bin.index.json":
            b'{"weight_map": {"w": "pytorch_model-1.bin"}}',
        "pytorch_model-1.bin": zips.torch_zip(
            _with(_REFUSED["os_system"][0]), _WEIGHTS)})
    yield directory_case("bypass_in_metadata", {
        ".metadata": evil, "__0_0.distcp": b"x"})
    for part in ("magic", "version", "sys_info", "object", "keys"):
        yield file_case("bypass_legacy_" + part, legacy_cases.stream(
            **{part: evil}), ERROR)
    yield file_case("bypass_legacy_value", legacy_cases.stream(
        object=_with(_REFUSED["os_system"][0])), ERROR)


def cases():
    for family, outcome, verdicts in (
            (_REFUSED, ERROR, ("dangerous",)),
            (_ODD, EITHER, ("dangerous", "suspicious", "unknown globals",
                            "malformed"))):
        for name, (instructions, proto) in family.items():
            yield file_case("bypass_" + name, zips.torch_zip(
                _with(instructions, proto), _WEIGHTS), outcome,
                verdicts=verdicts)
    yield from _hidden()
