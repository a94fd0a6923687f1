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

_PACKAGES_BUILD = """
# The folder itself and not its 800 files: an action or a test gets one link to
# it. Nothing writes there after the fetch, so nothing gets stale.
exports_files(
    ["node_modules"],
    visibility = ["//visibility:public"],
)
"""

def _npm_packages_impl(ctx):
    # Copies: npm would follow a link, and put its folder beside the original.
    for source, name in [
        (ctx.attr.package_json, "package.json"),
        (ctx.attr.package_lock, "package-lock.json"),
    ]:
        ctx.file(name, ctx.read(source))

    # No package's own scripts run: what it does at build time, we ask for.
    result = ctx.execute(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
        timeout = 900,
    )
    if result.return_code != 0:
        fail("npm ci failed for %s: %s" %
             (ctx.attr.package_lock, result.stderr))

    # Bazel must see one package here, whatever npm's carry.
    ctx.execute(["find", "node_modules", "(", "-name", "BUILD", "-o", "-name", "BUILD.bazel", ")", "-type", "f", "-delete"])
    ctx.file("BUILD.bazel", _PACKAGES_BUILD)

npm_packages = repository_rule(
    implementation = _npm_packages_impl,
    attrs = {
        "package_json": attr.label(
            allow_single_file = True,
            doc = "The packages wanted, each with its exact version.",
            mandatory = True,
        ),
        "package_lock": attr.label(
            allow_single_file = True,
            doc = "Of npm 9 or later: all packages, each with its hash, and " +
                  "no `resolved` (.npmrc: omit-lockfile-registry-resolved), " +
                  "so that each machine asks the registry that it is set to.",
            mandatory = True,
        ),
    },
    doc = "Installs npm packages, as one folder: @NAME//:node_modules.",
)
