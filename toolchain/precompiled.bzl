"""Headers of libraries that are parsed once, and not by every file.

More than half of the time to compile a file of ours goes into the headers of the
standard library, Abseil and GoogleTest. g++ reads what it has parsed before in a
tenth of a second. It does so only where all options are the same, and parses the
headers again, without a word, where they are not.
"""

load("@bazel_tools//tools/build_defs/cc:action_names.bzl", "ACTION_NAMES")
load("@bazel_tools//tools/cpp:toolchain_utils.bzl", "find_cpp_toolchain")

def _headers_of(dep):
    return CcInfo(compilation_context = dep[CcInfo].compilation_context)

def _precompiled_header_impl(ctx):
    toolchain = find_cpp_toolchain(ctx)
    features = cc_common.configure_features(
        ctx = ctx,
        cc_toolchain = toolchain,
        requested_features = ctx.features,
        unsupported_features = ctx.disabled_features,
    )
    libraries = cc_common.merge_cc_infos(
        cc_infos = [_headers_of(dep) for dep in ctx.attr.deps],
    )
    context = libraries.compilation_context

    header = ctx.actions.declare_file(ctx.label.name + ".h")
    ctx.actions.write(
        header,
        "".join(["#include %s\n" % name for name in ctx.attr.includes]),
    )

    # g++ takes the first that fits from a folder of this name. Bazel compiles for
    # other places than position independent code only where it optimizes.
    parsed = []
    use_pics = [True]
    if ctx.var["COMPILATION_MODE"] == "opt":
        use_pics.append(False)
    for use_pic in use_pics:
        output = ctx.actions.declare_file("%s.h.gch/%s" % (
            ctx.label.name,
            "pic" if use_pic else "no_pic",
        ))
        parsed.append(output)

        # Without it -fpch-deps has nothing to tell.
        dependencies = ctx.actions.declare_file(output.basename + ".d", sibling = output)
        variables = cc_common.create_compile_variables(
            cc_toolchain = toolchain,
            feature_configuration = features,
            include_directories = context.includes,
            output_file = output.path,
            preprocessor_defines = context.defines,
            quote_include_directories = context.quote_includes,
            source_file = header.path,
            system_include_directories = context.system_includes,
            use_pic = use_pic,
            user_compile_flags = (
                ctx.fragments.cpp.copts + ctx.fragments.cpp.cxxopts + ctx.attr.copts
            ),
        )
        options = {
            "action_name": ACTION_NAMES.cpp_compile,
            "feature_configuration": features,
        }
        ctx.actions.run(
            arguments = ["-x", "c++-header", "-MD", "-MF", dependencies.path] +
                        cc_common.get_memory_inefficient_command_line(
                            variables = variables,
                            **options
                        ),
            env = cc_common.get_environment_variables(
                variables = variables,
                **options
            ),
            executable = cc_common.get_tool_for_action(**options),
            inputs = depset(
                [header],
                transitive = [context.headers, toolchain.all_files],
            ),
            mnemonic = "CppPrecompile",
            outputs = [output, dependencies],
            progress_message = "Parsing %s" % header.short_path,
        )

    own = CcInfo(compilation_context = cc_common.create_compilation_context(
        headers = depset([header] + parsed),
    ))
    return [cc_common.merge_cc_infos(direct_cc_infos = [own], cc_infos = [libraries])]

precompiled_header = rule(
    implementation = _precompiled_header_impl,
    attrs = {
        "copts": attr.string_list(
            doc = "Options of the files that use it.",
        ),
        "deps": attr.label_list(
            doc = "Where the headers are.",
            providers = [CcInfo],
        ),
        "includes": attr.string_list(
            doc = "The headers, with <> or quotes.",
            mandatory = True,
        ),
        "_cc_toolchain": attr.label(
            default = "@bazel_tools//tools/cpp:current_cc_toolchain",
        ),
    },
    doc = "NAME.h, and what g++ makes of it.",
    fragments = ["cpp"],
    incompatible_use_toolchain_transition = True,
    toolchains = ["@bazel_tools//tools/cpp:toolchain_type"],
)

def _where_parsed(values):
    # What clang has parsed holds for files of the same age only, which no cache
    # keeps.
    return select({
        "@rules_cc//cc/compiler:clang": [],
        "@rules_cc//cc/compiler:emscripten": [],
        "//conditions:default": values,
    })

def precompiled(name):
    """What makes the files of a target use //toolchain:`name`.

    Args:
      name: name of a precompiled_header of that package.

    Returns:
      a struct of copts and deps, to add to those of the target.
    """
    return struct(
        copts = _where_parsed([
            "-include",
            "toolchain/%s.h" % name,
            # Names all of the headers to Bazel, which otherwise would not compile
            # anew where one has changed that no file includes by itself.
            "-fpch-deps",
        ]),
        deps = _where_parsed(["//toolchain:" + name]),
    )
