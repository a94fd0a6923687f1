"""Runs native tests and programs under the address and undefined-behaviour
sanitizers.

Their sources and all that they depend on are compiled a second time, with
assertions, inside the same build: no separate `--config` run can be forgotten.
"""

# -O1 and line tables only: both halve the time to compile, and a report still
# names the line.
_COPTS = [
    "-O1",
    "-g1",
    "-fno-omit-frame-pointer",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    # With these, g++ 12 refuses constant expressions in Abseil that compare a
    # function's address with null. AddressSanitizer sees a null access anyway.
    "-fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute",
]

_LINKOPTS = ["-fsanitize=address,undefined"]

def _to_sanitized_impl(settings, _attr):
    return {
        # Not opt, so that assert() and Abseil's hardening checks are there.
        "//command_line_option:compilation_mode": "fastbuild",
        "//command_line_option:copt": settings["//command_line_option:copt"] + _COPTS,
        "//command_line_option:linkopt": settings["//command_line_option:linkopt"] + _LINKOPTS,
        # "sometimes" would drop the line tables.
        "//command_line_option:strip": "never",
    }

_to_sanitized = transition(
    implementation = _to_sanitized_impl,
    inputs = [
        "//command_line_option:copt",
        "//command_line_option:linkopt",
    ],
    outputs = [
        "//command_line_option:compilation_mode",
        "//command_line_option:copt",
        "//command_line_option:linkopt",
        "//command_line_option:strip",
    ],
)

def _sanitized_test_impl(ctx):
    test = ctx.attr.test[0][DefaultInfo]
    ctx.actions.symlink(
        output = ctx.outputs.executable,
        target_file = test.files_to_run.executable,
        is_executable = True,
    )
    runfiles = ctx.runfiles(ctx.files.data).merge(test.default_runfiles)
    return [
        DefaultInfo(runfiles = runfiles),
        testing.TestEnvironment({
            # Reading past a size that a file claims must fail as it does in
            # production, not as a report that the allocator was asked.
            "ASAN_OPTIONS": "allocator_may_return_null=1:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }),
    ]

sanitized_test = rule(
    implementation = _sanitized_test_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "test": attr.label(
            cfg = _to_sanitized,
            doc = "The cc_test to run in the other configuration.",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    test = True,
)

def _sanitized_binary_impl(ctx):
    binary = ctx.attr.binary[0][DefaultInfo]
    ctx.actions.symlink(
        output = ctx.outputs.executable,
        target_file = binary.files_to_run.executable,
        is_executable = True,
    )
    return [DefaultInfo(runfiles = binary.default_runfiles)]

sanitized_binary = rule(
    implementation = _sanitized_binary_impl,
    attrs = {
        "binary": attr.label(
            cfg = _to_sanitized,
            doc = "The cc_binary to build in the other configuration.",
            mandatory = True,
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
