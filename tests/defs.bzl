"""The rules that monoquant's tests are built with."""

load("//toolchain:copts.bzl", "MQ_COPTS", "MQ_TEST_COPTS")
load("//toolchain:precompiled.bzl", "precompiled")
load("//toolchain:sanitizers.bzl", "sanitized_test")
load("//toolchain:wasm.bzl", "wasm_cc_test")

def mq_cc_test(
        name,
        srcs,
        deps,
        size = "small",
        data = [],
        copts = [],
        args = [],
        tags = [],
        wasm = False,
        sanitize = True,
        threads = False,
        **kwargs):
    """A GoogleTest program, and its twins under other conditions.

    Makes `name`; `name`_asan, the same under the address and
    undefined-behaviour sanitizers; and, where asked for, `name`_tsan, under that
    of threads, and `name`_wasm, the same as WebAssembly.

    Args:
      name: name of the test.
      srcs: its sources; gtest_main brings main().
      deps: its libraries; GoogleTest is added.
      size: Bazel's test size.
      data: files that it reads.
      copts: more compiler options.
      args: arguments of the program.
      tags: as usual; given to the twins too.
      wasm: also compile it to WebAssembly and run that under Node. Such a test
        must not start threads or processes, and uses no exceptions.
      threads: the test starts threads: also run it under the thread sanitizer,
        as `name`_tsan.
      sanitize: also run it under the sanitizers. False only where a test
        measures memory or speed.
      **kwargs: passed to cc_test.
    """
    headers = precompiled("test_headers")
    native.cc_test(
        name = name,
        size = size,
        srcs = srcs,
        args = args,
        copts = MQ_COPTS + MQ_TEST_COPTS + headers.copts + copts,
        data = data,
        tags = tags,
        deps = deps + headers.deps + ["@com_google_googletest//:gtest_main"],
        **kwargs
    )
    if sanitize:
        sanitized_test(
            name = name + "_asan",
            size = size,
            args = args,
            data = data,
            tags = tags,
            test = name,
        )
    if threads:
        sanitized_test(
            name = name + "_tsan",
            size = size,
            args = args,
            data = data,
            sanitizer = "thread",
            tags = tags,
            test = name,
        )
    if wasm:
        wasm_cc_test(
            name = name + "_wasm",
            size = size,
            srcs = srcs,
            args = args,
            copts = copts,
            data = data,
            tags = tags,
            deps = deps,
        )
