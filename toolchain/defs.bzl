"""The rules that monoquant's rooms are built with."""

load("//toolchain:copts.bzl", "MQ_COPTS", "MQ_NO_EXCEPTIONS")
load("//toolchain:precompiled.bzl", "precompiled")

def mq_cc_library(
        name,
        copts = [],
        deps = [],
        exceptions = False,
        hot = False,
        **kwargs):
    """A cc_library with the project's compiler options.

    Args:
      name: name of the library.
      copts: more options.
      deps: its libraries.
      exceptions: whether its code may catch exceptions (of a dependency);
        ours never throws.
      hot: whether it has loops that run over all values of a weight.
        WebAssembly is compiled for size, and is as fast as native code only
        where it is told to be.
      **kwargs: passed to cc_library.
    """
    if not exceptions and not copts:
        headers = precompiled("library_headers")
        copts = headers.copts
        deps = deps + headers.deps
    native.cc_library(
        name = name,
        copts = MQ_COPTS + ([] if exceptions else MQ_NO_EXCEPTIONS) + copts,
        features = ["-small"] if hot else [],
        deps = deps,
        **kwargs
    )

def mq_cc_binary(name, copts = [], exceptions = False, **kwargs):
    """A cc_binary with the project's compiler options.

    Args:
      name: name of the program.
      copts: more options.
      exceptions: whether its code may catch exceptions of a dependency.
      **kwargs: passed to cc_binary.
    """
    native.cc_binary(
        name = name,
        copts = MQ_COPTS + ([] if exceptions else MQ_NO_EXCEPTIONS) + copts,
        **kwargs
    )
