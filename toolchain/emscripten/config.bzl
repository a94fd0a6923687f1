"""What Bazel must know of Emscripten: tools, folders and default options."""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load(
    "@bazel_tools//tools/cpp:cc_toolchain_config_lib.bzl",
    "feature",
    "flag_group",
    "flag_set",
    "tool_path",
    "with_feature_set",
)

_COMPILE_CXX = [
    ACTION_NAMES.cpp_compile,
    ACTION_NAMES.cpp_header_parsing,
    ACTION_NAMES.cpp_module_compile,
    ACTION_NAMES.linkstamp_compile,
]

_COMPILE = _COMPILE_CXX + [
    ACTION_NAMES.assemble,
    ACTION_NAMES.c_compile,
    ACTION_NAMES.preprocess_assemble,
]

_LINK = [
    ACTION_NAMES.cpp_link_executable,
    ACTION_NAMES.cpp_link_dynamic_library,
    ACTION_NAMES.cpp_link_nodeps_dynamic_library,
]

# What is sent to a browser has to be small. emcc then asks for no inlining at
# all, but the call of a function that returns a member takes more room than the
# member; more than that is not worth it (the unit is LLVM's guess of
# instructions). The last four are string_view of a literal, which inlined is two
# numbers (before, LLVM sees calls of functions), and the comparison of two, which
# libc++'s own code has with other arguments (see _EXPANDED_ARGUMENTS).
_SMALL = [
    "-Oz",
    "-finline-functions",
    "-mllvm",
    "-inline-threshold=-10",
    "-mllvm",
    "-inline-call-penalty=40",
    "-mllvm",
    "-force-attribute=_ZNSt3__217basic_string_viewIcNS_11char_traitsIcEEEC2EPKc:alwaysinline",
    "-mllvm",
    "-force-attribute=_ZNSt3__228__char_traits_length_checkedINS_11char_traitsIcEEEEmPKNT_9char_typeE:alwaysinline",
    "-mllvm",
    "-force-attribute=_ZNSt3__211char_traitsIcE6lengthEPKc:alwaysinline",
    "-mllvm",
    "-force-attribute=_ZNKSt3__217basic_string_viewIcNS_11char_traitsIcEEE7compareES3_:alwaysinline",
]

# Structures as their members, and not as the address of a copy in memory: the
# strings and spans that most functions take are two numbers each. clang calls it an
# experiment, as it is made for functions that return several values too, which
# stays switched off. Emscripten's libraries are compiled without: where ours call
# one with a structure, the linker tells (warnings_are_errors). clang 14 crashes at
# a parameter that is a pointer to a member function: take a reference to it, as
# emcc.sh does in two files of others.
_EXPANDED_ARGUMENTS = [
    "-Xclang",
    "-target-abi",
    "-Xclang",
    "experimental-mv",
]

# Libraries of loops over values and bytes switch it off: features = ["-small"].
_FAST = [
    "-O3",
    "-fno-unroll-loops",
]

# Here and not in .bazelrc, because the transition drops the options of the
# command line, which are meant for the native compiler.
_COMPILE_OPTIONS = [
    "-DNDEBUG",
    # The same bytes as the native programs; see MQ_COPTS.
    "-ffp-contract=off",
    # Every engine of the last years has 128-bit SIMD, and each of those has the
    # other two.
    "-msimd128",
    "-mnontrapping-fptoint",
    "-msign-ext",
    # Our code has none, and tables for unwinding double a module's size.
    "-fno-exceptions",
    # Nothing of the build's place or time may reach the module.
    "-no-canonical-prefixes",
    "-Wno-builtin-macro-redefined",
    "-D__DATE__=\"redacted\"",
    "-D__TIME__=\"redacted\"",
    "-D__TIMESTAMP__=\"redacted\"",
]

def _flags(name, actions, flags, unless = None):
    return feature(
        name = name,
        enabled = True,
        flag_sets = [flag_set(
            actions = actions,
            flag_groups = [flag_group(flags = flags)],
            with_features = [with_feature_set(not_features = [unless])] if unless else [],
        )],
    )

def _impl(ctx):
    tools = {
        "ar": "emar.sh",
        "cpp": "emcc.sh",
        "gcc": "emcc.sh",
        "gcov": "unavailable",
        "ld": "emcc.sh",
        "nm": "unavailable",
        "objdump": "unavailable",
        "strip": "unavailable",
    }
    return cc_common.create_cc_toolchain_config_info(
        ctx = ctx,
        abi_libc_version = "emscripten",
        abi_version = "emscripten",
        compiler = "emscripten",
        # Where Debian's package keeps the headers that emcc adds by itself.
        cxx_builtin_include_directories = [
            "/usr/lib/clang",
            "/usr/lib/llvm-14/lib/clang",
            "/usr/share/emscripten/cache/sysroot/include",
        ],
        features = [
            _flags("small", _COMPILE, _SMALL),
            _flags("fast", _COMPILE, _FAST, unless = "small"),
            _flags("expanded_arguments", _COMPILE, _EXPANDED_ARGUMENTS),
            _flags("monoquant_compile", _COMPILE, _COMPILE_OPTIONS),
            # Such as that two files call a function in two ways.
            _flags("warnings_are_errors", _LINK, ["-Wl,--fatal-warnings"]),
            _flags("monoquant_cxx", _COMPILE_CXX, [
                "-std=c++20",
                # Nothing asks for the type of an object, and the names of all
                # types are 2 % of the module.
                "-fno-rtti",
            ]),
        ],
        host_system_name = "local",
        target_cpu = "wasm32",
        target_libc = "musl",
        target_system_name = "wasm32-emscripten",
        tool_paths = [
            tool_path(name = name, path = path)
            for name, path in tools.items()
        ],
        toolchain_identifier = "emscripten",
    )

emscripten_cc_toolchain_config = rule(
    implementation = _impl,
    attrs = {},
    provides = [CcToolchainConfigInfo],
)
