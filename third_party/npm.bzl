"""Repositories made of a package that the npm client fetches."""

load(":checksum.bzl", "check_sha256")

def _npm_archive_impl(ctx):
    package = "%s@%s" % (ctx.attr.package, ctx.attr.version)

    # `npm pack` stores the published archive under its own name, with the
    # scope folded in: @bazel/x of version 1 becomes bazel-x-1.tgz.
    archive = "%s-%s.tgz" % (
        ctx.attr.package.replace("@", "").replace("/", "-"),
        ctx.attr.version,
    )
    result = ctx.execute(
        ["npm", "pack", "--silent", "--ignore-scripts", package],
        timeout = 900,
    )
    if result.return_code != 0:
        fail("npm pack %s failed: %s" % (package, result.stderr))
    check_sha256(ctx, archive, ctx.attr.sha256, "npm package " + package)
    ctx.extract(archive, stripPrefix = ctx.attr.strip_prefix)
    ctx.delete(archive)
    if ctx.attr.build_file:
        ctx.delete("BUILD.bazel")
        ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

npm_archive = repository_rule(
    implementation = _npm_archive_impl,
    attrs = {
        "build_file": attr.label(
            allow_single_file = True,
            doc = "Takes the place of the package's own root BUILD file.",
        ),
        "package": attr.string(mandatory = True),
        "sha256": attr.string(
            mandatory = True,
            doc = "Of the archive that `npm pack` stores.",
        ),
        "strip_prefix": attr.string(
            default = "package",
            doc = "The folder in the archive that becomes the repository.",
        ),
        "version": attr.string(mandatory = True),
    },
)
