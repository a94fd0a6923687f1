"""Repositories made of packages that Debian's client fetches.

The packages are unpacked into the repository's folder, not installed: a build
neither needs root nor changes the machine, and a header that happens to lie in
/usr/include is never picked up by accident.
"""

load(":checksum.bzl", "check_sha256")

# A folder that becomes "." is merged into the repository's root.
_PLACE = """
if [ "$2" = . ]; then
  cp -a "deb/$1/." .
else
  mkdir -p "$(dirname "$2")"
  mv "deb/$1" "$2"
fi
"""

def _deb_archive_impl(ctx):
    for package, sha256 in ctx.attr.packages.items():
        name = package.split("=")[0]
        result = ctx.execute(["apt-get", "download", package], timeout = 900)
        if result.return_code != 0:
            fail(("apt-get download %s failed. If the package lists of this " +
                  "machine are empty or old, run: apt-get update\n%s") %
                 (package, result.stderr))

        # The file's name spells the version with % escapes, so find it.
        found = ctx.execute(["sh", "-c", "ls %s_*.deb" % name])
        deb = found.stdout.strip()
        if found.return_code != 0 or "\n" in deb:
            fail("apt-get download %s left %r" % (package, deb))
        check_sha256(ctx, deb, sha256, "Debian package " + package)
        result = ctx.execute(["dpkg-deb", "-x", deb, "deb"])
        if result.return_code != 0:
            fail("cannot unpack %s: %s" % (deb, result.stderr))
        ctx.delete(deb)

    for source, target in ctx.attr.folders.items():
        result = ctx.execute(["bash", "-euc", _PLACE, "place", source, target])
        if result.return_code != 0:
            fail("%s is not in %s: %s" %
                 (source, ctx.attr.packages.keys(), result.stderr))
    ctx.delete("deb")
    if ctx.attr.build_file:
        ctx.delete("BUILD.bazel")
        ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

deb_archive = repository_rule(
    implementation = _deb_archive_impl,
    attrs = {
        "build_file": attr.label(allow_single_file = True),
        "folders": attr.string_dict(
            mandatory = True,
            doc = "Files or folders in the packages, and their new places in " +
                  "the repository. All else is dropped.",
        ),
        "packages": attr.string_dict(
            mandatory = True,
            doc = "'name=version' and the SHA-256 of its .deb file.",
        ),
    },
)
