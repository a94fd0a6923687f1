"""The Python that runs build tools and tests."""

# Actions run with the PATH that .bazelrc fixes (--incompatible_strict_action_env).
# Look there first, and only then along the PATH of whoever called Bazel.
_FIND_PYTHON = """
PATH=/bin:/usr/bin:/usr/local/bin command -v python3 || command -v python3
"""

def find_python(ctx):
    """Finds python3: $MONOQUANT_PYTHON or the machine's.

    One answer for the toolchain and for pip, because a wheel fits one version.

    Args:
      ctx: the repository context.

    Returns:
      Its absolute path.
    """
    python = ctx.os.environ.get("MONOQUANT_PYTHON")
    if python:
        return python
    found = ctx.execute(["sh", "-c", _FIND_PYTHON])
    if found.return_code != 0:
        fail("no python3 on this machine; install python3 and python3-venv")
    return found.stdout.strip()

_BUILD = """
load("@bazel_tools//tools/python:toolchain.bzl", "py_runtime_pair")

py_runtime(
    name = "runtime",
    interpreter_path = "%s",
    python_version = "PY3",
    stub_shebang = "#!/usr/bin/env python3",
)

py_runtime_pair(
    name = "runtime_pair",
    py3_runtime = ":runtime",
)

toolchain(
    name = "toolchain",
    toolchain = ":runtime_pair",
    toolchain_type = "@bazel_tools//tools/python:toolchain_type",
)
"""

def _local_python_impl(ctx):
    ctx.file("BUILD.bazel", _BUILD % find_python(ctx))

local_python = repository_rule(
    implementation = _local_python_impl,
    doc = "Bazel's own toolchain starts its programs with `python`, which " +
          "Debian does not have.",
    environ = ["MONOQUANT_PYTHON"],
)
