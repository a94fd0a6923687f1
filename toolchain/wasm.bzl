"""WebAssembly from the same targets as the native programs.

Each rule here asks for its dependencies built with Emscripten, whatever the
rest of the build is configured for, so one `bazel build //...` makes both.
"""

load("//toolchain:copts.bzl", "MQ_COPTS", "MQ_NO_EXCEPTIONS")

def _to_wasm_impl(_settings, _attr):
    # Options of the command line are for the native compiler; the toolchain
    # carries its own (//toolchain/emscripten:config.bzl). Labels must name
    # this repository, because the build may be another workspace's.
    return {
        "//command_line_option:compilation_mode": "opt",
        "//command_line_option:copt": [],
        "//command_line_option:cpu": "wasm32",
        "//command_line_option:crosstool_top": str(Label("//toolchain/emscripten:suite")),
        "//command_line_option:cxxopt": [],
        "//command_line_option:dynamic_mode": "off",
        "//command_line_option:features": [],
        "//command_line_option:force_pic": False,
        "//command_line_option:linkopt": [],
        "//command_line_option:platforms": str(Label("//toolchain/emscripten:platform")),
    }

_to_wasm = transition(
    implementation = _to_wasm_impl,
    inputs = [],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:cpu",
        "//command_line_option:crosstool_top",
        "//command_line_option:cxxopt",
        "//command_line_option:dynamic_mode",
        "//command_line_option:features",
        "//command_line_option:force_pic",
        "//command_line_option:linkopt",
        "//command_line_option:platforms",
    ],
)

_ALLOWLIST = {
    "_allowlist_function_transition": attr.label(
        default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
    ),
}

def _wasm_module_impl(ctx):
    linked = ctx.attr.linked[0][DefaultInfo].files_to_run.executable
    module = ctx.actions.declare_file(ctx.label.name + ".wasm")
    arguments = ctx.actions.args()
    arguments.add(linked)
    arguments.add(module)
    arguments.add_all(ctx.attr.imports, format_each = "--import=%s")
    arguments.add_all(ctx.attr.exports, format_each = "--export=%s")
    ctx.actions.run(
        outputs = [module],
        inputs = [linked],
        executable = ctx.executable._check,
        arguments = [arguments],
        mnemonic = "WasmCheck",
        progress_message = "Checking the interface of %s" % module.short_path,
    )
    return [DefaultInfo(
        files = depset([module]),
        runfiles = ctx.runfiles([module]),
    )]

_wasm_module = rule(
    implementation = _wasm_module_impl,
    attrs = dict(
        _ALLOWLIST,
        exports = attr.string_list(),
        imports = attr.string_list(),
        linked = attr.label(cfg = _to_wasm, mandatory = True),
        _check = attr.label(
            cfg = "exec",
            default = "//toolchain:wasm_interface",
            executable = True,
        ),
    ),
)

def wasm_binary(
        name,
        deps,
        exports,
        imports = [],
        initial_memory = 16777216,
        linkopts = [],
        visibility = None,
        testonly = None):
    """A module of its own, `name`.wasm, that needs no JavaScript glue.

    It is a reactor: the loader calls `_initialize` once and then the exported
    functions. Memory grows on demand. SIMD128, no threads, no exceptions.

    Args:
      name: name of the module, without ".wasm".
      deps: libraries that define the exported functions, as extern "C".
      exports: names of the functions to export. malloc and free are exported
        only if named.
      imports: what the module may ask of its loader, as "module.name". The
        build fails where the module imports anything else, because a missing
        function would otherwise be found at run time only.
      initial_memory: bytes of memory at the start; a multiple of 65,536.
      linkopts: more arguments for emcc.
      visibility: as usual.
      testonly: as usual.
    """
    linked = name + "_linked.wasm"
    native.cc_binary(
        name = linked,
        linkopts = [
            # For the linker, which optimizes the module as a whole: what has to
            # be fast is so when it is compiled.
            "-Oz",
            # Functions that are called once stay functions: they compress
            # better, by 4 %. All passes twice find a little more, and a
            # third time from code that was taken apart.
            "-sBINARYEN_EXTRA_PASSES=-ocimfs=20,-aimfs=4,-Oz,--flatten,--rereloop,-Oz",
            # A third of the code of the other one.
            "-sMALLOC=emmalloc",
            "-sSTANDALONE_WASM=1",
            "--no-entry",
            "-sALLOW_MEMORY_GROWTH=1",
            "-sINITIAL_MEMORY=%d" % initial_memory,
            "-sEXPORTED_FUNCTIONS=" + ",".join(["_" + f for f in exports]),
            # Functions of the loader are undefined at this point; _check
            # compares the imports of the module with the list.
            "-sERROR_ON_UNDEFINED_SYMBOLS=0",
            "-sWARN_ON_UNDEFINED_SYMBOLS=0",
        ] + linkopts,
        # Built through _wasm_module only: no native linker knows these options.
        tags = ["manual"],
        testonly = testonly,
        visibility = ["//visibility:private"],
        deps = deps,
    )
    _wasm_module(
        name = name,
        exports = exports,
        imports = imports,
        linked = linked,
        testonly = testonly,
        visibility = visibility,
    )

def _node_run_impl(ctx):
    program = ctx.attr.program[0][DefaultInfo]
    script = program.files_to_run.executable
    ctx.actions.write(
        output = ctx.outputs.executable,
        # Both lie in the same folder, whoever runs this and from where.
        content = "#!/bin/sh\nexec node \"${0%%/*}/%s\" \"$@\"\n" %
                  script.basename,
        is_executable = True,
    )
    runfiles = ctx.runfiles([script] + ctx.files.data)
    runfiles = runfiles.merge(program.default_runfiles)
    return [DefaultInfo(runfiles = runfiles)]

_NODE_RUN_ATTRS = dict(
    _ALLOWLIST,
    data = attr.label_list(allow_files = True),
    program = attr.label(cfg = _to_wasm, mandatory = True),
)

_node_run_test = rule(
    implementation = _node_run_impl,
    attrs = _NODE_RUN_ATTRS,
    test = True,
)

_node_run = rule(
    implementation = _node_run_impl,
    attrs = _NODE_RUN_ATTRS,
    executable = True,
)

def _node_program(name, srcs, deps, copts, data, linkopts):
    """name.js: a program with Emscripten's JavaScript, for Node. Its label."""
    program = name + ".js"
    pre_js = Label("//toolchain/emscripten:test_environment.js")
    native.cc_binary(
        name = program,
        srcs = srcs,
        additional_linker_inputs = [str(pre_js)],
        copts = MQ_COPTS + MQ_NO_EXCEPTIONS + copts,
        data = data,
        linkopts = [
            "-sALLOW_MEMORY_GROWTH=1",
            "-sENVIRONMENT=node",
            "-sEXIT_RUNTIME=1",
            # The tests open real files: TEST_TMPDIR and test data.
            "-sNODERAWFS=1",
            # One output, as Bazel's linking action has; and emcc 3.1.6 would
            # load a separate module with fetch(), which Node refuses.
            "-sSINGLE_FILE=1",
            "--pre-js $(execpath %s)" % pre_js,
        ] + linkopts,
        tags = ["manual"],
        testonly = True,
        deps = deps,
    )
    return program

def wasm_cc_test(
        name,
        srcs,
        deps,
        copts = [],
        data = [],
        linkopts = [],
        tags = [],
        **kwargs):
    """A GoogleTest program, compiled to WebAssembly and run by Node.

    Unlike the modules that ship, it comes with Emscripten's JavaScript, which
    gives it standard output, the environment and the files of this machine.

    Args:
      name: name of the test.
      srcs: its sources.
      deps: its libraries; GoogleTest is added.
      copts: more compiler options.
      data: files that it reads, at the same paths as a native test.
      linkopts: more arguments for emcc.
      tags: as usual.
      **kwargs: passed to the test rule.
    """
    program = _node_program(
        name,
        srcs = srcs,
        copts = copts,
        data = data,
        # The objects are optimized; to optimize the whole program once more
        # takes ten seconds a test.
        linkopts = ["-O1"] + linkopts,
        deps = deps + ["@com_google_googletest//:gtest_main"],
    )
    _node_run_test(
        name = name,
        data = data,
        program = program,
        tags = tags,
        **kwargs
    )

def wasm_cc_binary(name, srcs, deps, copts = [], tags = []):
    """A program for tests and benchmarks, run by Node like a wasm_cc_test.

    It is optimized as the modules that ship are.

    Args:
      name: name of the program.
      srcs: its sources.
      deps: its libraries.
      copts: more compiler options.
      tags: as usual.
    """
    program = _node_program(
        name,
        srcs = srcs,
        copts = copts,
        data = [],
        linkopts = ["-O3"],
        deps = deps,
    )
    _node_run(
        name = name,
        program = program,
        tags = tags,
        testonly = True,
    )

def _wasm_compile_test_impl(ctx):
    libraries = []
    for dep in ctx.attr.deps:
        for input in dep[CcInfo].linking_context.linker_inputs.to_list():
            for library in input.libraries:
                if library.static_library:
                    libraries.append(library.static_library)
    ctx.actions.write(
        output = ctx.outputs.executable,
        content = "#!/bin/sh\necho '%d libraries compile to WebAssembly'\n" %
                  len(libraries),
        is_executable = True,
    )

    # That these are built at all is the test.
    return [DefaultInfo(runfiles = ctx.runfiles(libraries))]

wasm_compile_test = rule(
    implementation = _wasm_compile_test_impl,
    attrs = dict(
        _ALLOWLIST,
        deps = attr.label_list(
            cfg = _to_wasm,
            mandatory = True,
            providers = [CcInfo],
        ),
    ),
    doc = "Passes if the libraries, and all that they depend on, compile to " +
          "WebAssembly.",
    test = True,
)
