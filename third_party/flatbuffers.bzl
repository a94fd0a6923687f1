"""C++ headers from FlatBuffers schemas, made at build time, never committed."""

def flatbuffer_cc_library(name, srcs, deps = [], flatc_args = [], **kwargs):
    """A cc_library of the headers that flatc makes.

    `ir/x.fbs` becomes `#include "ir/x_generated.h"`.

    Args:
      name: name of the library.
      srcs: .fbs files of this package.
      deps: other flatbuffer_cc_library targets whose headers these include.
      flatc_args: more arguments for flatc, such as "--gen-object-api".
      **kwargs: passed to cc_library.
    """
    headers = [src[:-len(".fbs")] + "_generated.h" for src in srcs]
    native.genrule(
        name = name + "_flatc",
        srcs = srcs,
        outs = headers,
        cmd = " ".join([
            "$(execpath @com_github_google_flatbuffers//:flatc)",
            "--cpp",
            # Both 2.0.8 and today's flatc know it; without the static
            # reflection that c++17 adds.
            "--cpp-std c++11",
            "--scoped-enums",
        ] + flatc_args + [
            "-o $(@D)",
            "$(SRCS)",
        ]),
        message = "Generating C++ from",
        tools = ["@com_github_google_flatbuffers//:flatc"],
    )
    native.cc_library(
        name = name,
        hdrs = headers,
        deps = deps + ["@com_github_google_flatbuffers//:flatbuffers"],
        **kwargs
    )
