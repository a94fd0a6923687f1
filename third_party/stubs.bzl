"""Small stand-ins for rule sets that Abseil's BUILD files load.

Bazel 4.2.3 would download the real ones, and their current releases need a
newer Bazel. What Abseil uses of them is native in Bazel 4, so each stand-in is
a few lines. All of them come under `existing_rule` guards: a workspace that
brings the real ones wins.
"""

_PLATFORMS_CPU = [
    "aarch32",
    "aarch64",
    "all",
    "arm",
    "arm64",
    "arm64_32",
    "arm64e",
    "armv6-m",
    "armv7",
    "armv7-m",
    "armv7e-m",
    "armv7e-mf",
    "armv7k",
    "armv8-m",
    "cortex-r52",
    "i386",
    "mips64",
    "ppc",
    "ppc32",
    "ppc64le",
    "riscv32",
    "riscv64",
    "s390x",
    "wasm32",
    "wasm64",
    "x86_32",
    "x86_64",
]

_PLATFORMS_OS = [
    "android",
    "chromiumos",
    "emscripten",
    "freebsd",
    "fuchsia",
    "haiku",
    "ios",
    "linux",
    "macos",
    "netbsd",
    "nixos",
    "none",
    "openbsd",
    "osx",
    "qnx",
    "tvos",
    "visionos",
    "vxworks",
    "wasi",
    "watchos",
    "windows",
]

def _constraints(setting, values, aliases):
    lines = [
        'package(default_visibility = ["//visibility:public"])',
        'constraint_setting(name = "%s")' % setting,
    ]
    for value in values:
        if value in aliases:
            lines.append('alias(name = "%s", actual = ":%s")' %
                         (value, aliases[value]))
        else:
            lines.append(
                'constraint_value(name = "%s", constraint_setting = ":%s")' %
                (value, setting),
            )
    return "\n".join(lines) + "\n"

def _platforms_stub_impl(ctx):
    ctx.file("BUILD.bazel", "")
    ctx.file("cpu/BUILD.bazel", _constraints("cpu", _PLATFORMS_CPU, {
        "arm64": "aarch64",
        "i386": "x86_32",
    }))
    ctx.file("os/BUILD.bazel", _constraints("os", _PLATFORMS_OS, {
        "osx": "macos",
    }))

platforms_stub = repository_rule(
    implementation = _platforms_stub_impl,
    doc = "Bazel 4.2.3 carries a @platforms without wasm, ppc64le and others " +
          "that Abseil names.",
)

_RULES_CC = ["cc_binary", "cc_import", "cc_library", "cc_test"]

# Bazel's own tools load these from cc/defs.bzl.
_RULES_CC_DEFS = [
    "cc_proto_library",
    "cc_toolchain",
    "cc_toolchain_suite",
    "fdo_prefetch_hints",
    "fdo_profile",
    "objc_import",
    "objc_library",
]

_COMPILERS = ["clang", "clang-cl", "emscripten", "gcc", "mingw-gcc", "msvc-cl"]

def _rules_cc_stub_impl(ctx):
    ctx.file("BUILD.bazel", "")
    ctx.file("cc/BUILD.bazel", "")
    for rule in _RULES_CC:
        ctx.file("cc/%s.bzl" % rule, "%s = native.%s\n" % (rule, rule))
    ctx.file("cc/defs.bzl", "".join([
        "%s = native.%s\n" % (rule, rule)
        for rule in _RULES_CC + _RULES_CC_DEFS
    ]))
    ctx.file("cc/compiler/BUILD.bazel", "".join([
        ('config_setting(name = "%s", ' +
         'flag_values = {"@bazel_tools//tools/cpp:compiler": "%s"}, ' +
         'visibility = ["//visibility:public"])\n') % (compiler, compiler)
        for compiler in _COMPILERS
    ]))

rules_cc_stub = repository_rule(implementation = _rules_cc_stub_impl)

_RULES_JAVA = [
    "java_binary",
    "java_import",
    "java_library",
    "java_lite_proto_library",
    "java_package_configuration",
    "java_plugin",
    "java_proto_library",
    "java_runtime",
    "java_test",
    "java_toolchain",
]

def _rules_java_stub_impl(ctx):
    ctx.file("BUILD.bazel", "")
    ctx.file("java/BUILD.bazel", "")
    ctx.file("java/defs.bzl", "".join([
        "%s = native.%s\n" % (rule, rule)
        for rule in _RULES_JAVA
    ]))

rules_java_stub = repository_rule(
    implementation = _rules_java_stub_impl,
    doc = "Bazel looks at its registered Java toolchains, which load these, " +
          "even where nothing is Java.",
)

def _coverage_tools_stub_impl(ctx):
    ctx.file("BUILD.bazel", "".join([
        ('sh_binary(name = "%s", srcs = ["no_coverage.sh"], ' +
         'visibility = ["//visibility:public"])\n') % name
        for name in ["coverage_report_generator", "lcov_merger"]
    ]))
    ctx.file(
        "no_coverage.sh",
        "#!/bin/sh\n" +
        "echo 'coverage is not set up in this workspace' >&2\n" +
        # Succeeding here would make reports that are silently empty.
        "exit 1\n",
        executable = True,
    )

coverage_tools_stub = repository_rule(
    implementation = _coverage_tools_stub_impl,
    doc = "Bazel 4.2.3 would download its coverage tools for any test.",
)
