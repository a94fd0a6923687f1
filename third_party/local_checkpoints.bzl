"""Real checkpoints that lie beside the source tree, where they do.

They are too large to commit. A test that needs them depends on
@checkpoints//:checkpoints, reads available.txt, and says SKIPPED where it
holds 0.
"""

_BUILD = """
package(default_visibility = ["//visibility:public"])

exports_files(["available.txt"])

filegroup(
    name = "checkpoints",
    srcs = ["available.txt"] + glob(["checkpoints/**"], allow_empty = True),
)

filegroup(
    name = "tools",
    srcs = ["available.txt"] + glob(["tools/**"], allow_empty = True),
)
"""

def _local_checkpoints_impl(ctx):
    given = ctx.os.environ.get("MONOQUANT_SHARED")
    if given:
        shared = ctx.path(given)
        if not shared.exists:
            fail("MONOQUANT_SHARED=%s: no such folder" % given)
    else:
        root = ctx.path(ctx.attr.workspace_file).realpath.dirname
        shared = root.dirname.get_child("shared")
    available = shared.get_child("checkpoints").exists
    if available:
        for folder in ["checkpoints", "tools"]:
            if shared.get_child(folder).exists:
                ctx.symlink(shared.get_child(folder), folder)
    ctx.file("available.txt", "1\n" if available else "0\n")
    ctx.file("BUILD.bazel", _BUILD)

local_checkpoints = repository_rule(
    implementation = _local_checkpoints_impl,
    attrs = {
        "workspace_file": attr.label(
            allow_single_file = True,
            mandatory = True,
        ),
    },
    doc = "Takes checkpoints/ and tools/ from $MONOQUANT_SHARED, or from a " +
          "folder `shared` beside the source tree.",
    environ = ["MONOQUANT_SHARED"],
    # The folder may appear at any time.
    local = True,
)
