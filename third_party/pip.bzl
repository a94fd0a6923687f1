"""Repositories made of packages that pip fetches."""

load(":checksum.bzl", "check_sha256")
load(":python.bzl", "find_python")

def find_pip(ctx):
    """Finds pip.

    Debian's python3 comes without pip, but python3-venv can make an
    environment that has one.

    Args:
      ctx: the repository context.

    Returns:
      The command line, as a list, of a pip that is ready to use.
    """
    python = find_python(ctx)
    if ctx.execute([python, "-m", "pip", "--version"]).return_code == 0:
        return [python, "-m", "pip"]
    result = ctx.execute([python, "-m", "venv", ".venv"])
    if result.return_code != 0:
        fail(("%s has no pip and cannot make an environment that has one; " +
              "install python3-venv.\n%s%s") %
             (python, result.stdout, result.stderr))
    return [str(ctx.path(".venv/bin/python3")), "-m", "pip"]

def _patch(ctx):
    for command in ctx.attr.patch_cmds:
        result = ctx.execute(["bash", "-euc", command])
        if result.return_code != 0:
            fail("%s failed: %s" % (command, result.stderr))

def _install_build_file(ctx):
    if ctx.attr.build_file:
        ctx.delete("BUILD.bazel")
        ctx.symlink(ctx.attr.build_file, "BUILD.bazel")

def _pip_archive_impl(ctx):
    pip = find_pip(ctx)
    requirement = "%s==%s" % (ctx.attr.package, ctx.attr.version)
    kind = ["--no-binary", ctx.attr.package]
    if ctx.attr.wheel:
        kind = ["--only-binary", ":all:"]
    result = ctx.execute(
        pip + ["download", "--quiet", "--no-deps", "--dest", ".archive"] +
        kind + [requirement],
        timeout = 1800,
    )
    if result.return_code != 0:
        fail("pip download %s failed: %s" % (requirement, result.stderr))
    found = ctx.execute(["sh", "-c", "ls .archive"])
    archive = ".archive/" + found.stdout.strip()
    check_sha256(ctx, archive, ctx.attr.sha256, "Python package " + requirement)
    if archive.endswith(".whl"):
        # Bazel tells the kind of an archive by its name.
        ctx.symlink(archive, ".archive/wheel.zip")
        archive = ".archive/wheel.zip"
    ctx.extract(archive, stripPrefix = ctx.attr.strip_prefix)
    ctx.delete(".archive")
    ctx.delete(".venv")
    _patch(ctx)
    _install_build_file(ctx)

pip_archive = repository_rule(
    implementation = _pip_archive_impl,
    attrs = {
        "build_file": attr.label(allow_single_file = True),
        "package": attr.string(mandatory = True),
        "patch_cmds": attr.string_list(
            doc = "bash, run in the unpacked folder.",
        ),
        "sha256": attr.string(mandatory = True),
        "strip_prefix": attr.string(
            doc = "The folder in the archive that becomes the repository.",
        ),
        "version": attr.string(mandatory = True),
        "wheel": attr.bool(
            default = False,
            doc = "Take the wheel and not the source archive.",
        ),
    },
    doc = "Unpacks one package without installing it or what it depends on: " +
          "for C sources in a source archive, and for data files.",
    environ = ["MONOQUANT_PYTHON"],
)

_SITE_BUILD = """
py_library(
    name = "site",
    srcs = ["%s.py"],
    # The folder itself and not its 20,000 files: a test's runfiles hold one
    # link to it. Nothing writes there after the fetch, so nothing gets stale.
    data = ["packages"],
    imports = [
        ".",
        "packages",
    ],
    visibility = ["//visibility:public"],
)
"""

_SITE_MODULE = '''"""Tells whether the packages of this repository are there."""

# None, or why they are not: what needs them then says so, with this reason.
UNAVAILABLE = %s
'''

def _pip_repository_impl(ctx):
    ctx.file("BUILD.bazel", _SITE_BUILD % ctx.attr.module)
    module = ctx.attr.module + ".py"
    given = ctx.os.environ.get(ctx.attr.variable)
    if given:
        package = ctx.attr.needs[0]
        if not ctx.path(given).get_child(package).exists:
            fail("%s=%s: no %s in that folder" %
                 (ctx.attr.variable, given, package))
        ctx.symlink(given, "packages")
        ctx.file(module, _SITE_MODULE % "None")
        return

    lock = ctx.path(ctx.attr.requirements)
    pip = find_pip(ctx)
    result = ctx.execute(
        pip + [
            "install",
            "--no-compile",
            "--no-deps",
            "--only-binary",
            ":all:",
            "--quiet",
            "--require-hashes",
            "--requirement",
            lock,
            "--target",
            "packages",
        ],
        timeout = 3600,
    )
    ctx.delete(".venv")
    reason = None
    if result.return_code != 0:
        # Not a failure of the build: these packages serve comparisons only,
        # and a machine with another Python, processor or package index than
        # the lock file's builds and tests all the rest.
        errors = [
            line
            for line in result.stderr.split("\n")
            if line.startswith("ERROR")
        ]
        reason = ("pip cannot install the packages that %s pins (%s). To run " +
                  "what needs them, install %s and %s in a virtual " +
                  "environment and set %s to its site-packages folder.") % (
            ctx.attr.requirements.name,
            errors[0] if errors else "no reason given",
            ", ".join(ctx.attr.needs[:-1]),
            ctx.attr.needs[-1],
            ctx.attr.variable,
        )
        ctx.delete("packages")
        ctx.file("packages/monoquant_unavailable.txt", reason + "\n")

        # buildifier: disable=print
        print(reason)
    else:
        # Bazel must see one package here, whatever the wheels carry.
        ctx.execute(["find", "packages", "(", "-name", "BUILD", "-o", "-name", "BUILD.bazel", ")", "-type", "f", "-delete"])
    ctx.file(module, _SITE_MODULE % repr(reason))

pip_repository = repository_rule(
    implementation = _pip_repository_impl,
    attrs = {
        "module": attr.string(
            doc = "The Python module that tells whether the packages are there.",
            mandatory = True,
        ),
        "needs": attr.string_list(
            doc = "What to install by hand where pip cannot follow the lock " +
                  "file: two packages or more.",
            mandatory = True,
        ),
        "requirements": attr.label(
            allow_single_file = True,
            doc = "A complete lock file with a --hash for each package.",
            mandatory = True,
        ),
        "variable": attr.string(
            doc = "The environment variable that names a folder of packages " +
                  "to take instead; it is in `environ` below.",
            mandatory = True,
        ),
    },
    doc = "Installs packages for Python tests, as @NAME//:site. Where pip " +
          "cannot, the repository has none, UNAVAILABLE of its module says " +
          "why, and packages/monoquant_unavailable.txt too.",
    environ = [
        "MONOQUANT_ENGINES_SITE",
        "MONOQUANT_PEERS_SITE",
        "MONOQUANT_PYTHON",
        "MONOQUANT_TORCH_SITE",
    ],
)
