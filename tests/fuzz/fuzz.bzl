"""A fuzz target as three things: a long run, a short run, a test."""

load("//toolchain:copts.bzl", "MQ_COPTS")
load("//toolchain:defs.bzl", "mq_cc_binary", "mq_cc_library")
load("//toolchain:sanitizers.bzl", "sanitized_test")

def _seeds_impl(ctx):
    seeds = ctx.actions.declare_directory(ctx.label.name)
    ctx.actions.run(
        executable = ctx.executable._generator,
        arguments = [ctx.attr.target, seeds.path],
        outputs = [seeds],
        mnemonic = "FuzzSeeds",
    )
    return [DefaultInfo(
        files = depset([seeds]),
        runfiles = ctx.runfiles(files = [seeds]),
    )]

_seeds = rule(
    implementation = _seeds_impl,
    attrs = {
        "target": attr.string(mandatory = True),
        "_generator": attr.label(
            cfg = "exec",
            default = "//tests/fuzz:seeds",
            executable = True,
        ),
    },
)

def fuzz_target(name, deps, dictionary, runs = 20000):
    """Makes a fuzz target of NAME_fuzz.cc.

    `bazel run --config=fuzz //tests/fuzz:NAME -- -max_total_time=600` is a run
    of libFuzzer; without --config=fuzz, what the test does. NAME_test is the
    test: the seeds and inputs made of them, under the sanitizers.

    Args:
      name: name of the target.
      deps: what NAME_fuzz.cc needs.
      dictionary: a dictionary of libFuzzer.
      runs: how many inputs the test makes.
    """
    mq_cc_library(
        name = name + "_target",
        testonly = True,
        srcs = [name + "_fuzz.cc"],
        deps = deps + [":fuzz_target"],
        # Nothing refers to its function but what it is linked with.
        alwayslink = True,
    )
    mq_cc_binary(
        name = name + "_fuzz",
        testonly = True,
        linkopts = select({
            ":libfuzzer": ["-fsanitize=fuzzer"],
            "//conditions:default": [],
        }),
        deps = [":" + name + "_target"] + select({
            ":libfuzzer": [],
            "//conditions:default": [":replay"],
        }),
    )
    _seeds(
        name = name + "_seeds",
        testonly = True,
        target = name,
    )
    native.sh_binary(
        name = name,
        testonly = True,
        srcs = ["run.sh"],
        args = select({
            ":libfuzzer": ["libfuzzer"],
            "//conditions:default": ["replay"],
        }) + [
            "$(rootpath :%s_fuzz)" % name,
            "$(rootpath :%s_seeds)" % name,
            "$(rootpath %s)" % dictionary,
        ],
        data = [
            dictionary,
            ":%s_fuzz" % name,
            ":%s_seeds" % name,
        ],
    )
    args = ["--runs=%d" % runs, "$(rootpath :%s_seeds)" % name]
    native.cc_test(
        name = name + "_replay",
        args = args,
        copts = MQ_COPTS,
        data = [":%s_seeds" % name],
        # Built for its sanitized twin; by itself it would find less.
        tags = ["manual"],
        deps = [
            ":replay",
            ":%s_target" % name,
        ],
    )
    sanitized_test(
        name = name + "_test",
        size = "medium",
        args = args,
        data = [":%s_seeds" % name],
        test = ":%s_replay" % name,
    )
