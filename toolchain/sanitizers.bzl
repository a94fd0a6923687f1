"""Runs native tests and programs under sanitizers: that of addresses, with that
of undefined behaviour, or that of threads.

Their sources and all that they depend on are compiled once more, with
assertions, inside the same build: no separate `--config` run can be forgotten.
"""

_FLAGS = {
    "address": ["-fsanitize=address,undefined"],
    "thread": ["-fsanitize=thread"],
}

# -Og and line tables only: both halve the time to compile (-O1 takes a third more
# than -Og), and a report still names the line.
_COPTS = [
    "-Og",
    "-g1",
    "-fno-omit-frame-pointer",
]

_MORE_COPTS = {
    "address": [
        "-fno-sanitize-recover=all",
        # With these, g++ 12 refuses constant expressions in Abseil that compare
        # a function's address with null. AddressSanitizer sees a null access
        # anyway.
        "-fno-sanitize=null,nonnull-attribute,returns-nonnull-attribute",
    ],
    # It knows no fences by themselves, and g++ says so for each.
    "thread": ["-Wno-tsan"],
}

def _to_sanitized_impl(settings, attr):
    flags = _FLAGS[attr.sanitizer]
    copts = _COPTS + flags + _MORE_COPTS[attr.sanitizer]
    return {
        # Not opt, so that assert() and Abseil's hardening checks are there.
        "//command_line_option:compilation_mode": "fastbuild",
        "//command_line_option:copt": settings["//command_line_option:copt"] + copts,
        "//command_line_option:linkopt": settings["//command_line_option:linkopt"] + flags,
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
            "TSAN_OPTIONS": "halt_on_error=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }),
    ]

sanitized_test = rule(
    implementation = _sanitized_test_impl,
    attrs = {
        "data": attr.label_list(allow_files = True),
        "sanitizer": attr.string(
            default = "address",
            values = _FLAGS.keys(),
        ),
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
        "sanitizer": attr.string(
            default = "address",
            values = _FLAGS.keys(),
        ),
        "_allowlist_function_transition": attr.label(
            default = "@bazel_tools//tools/allowlists/function_transition_allowlist",
        ),
    },
    executable = True,
)
