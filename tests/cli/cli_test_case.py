"""Runs the built program and checks what every failure has in common."""

import hashlib
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import unittest

# In the runfiles of a Bazel test. By hand, outside Bazel:
# MONOQUANT=bazel-bin/cli/monoquant python3 -m unittest tests/cli/errors_test.py
PROGRAM = os.path.abspath(
    os.environ.get(
        "MONOQUANT",
        str(pathlib.Path(__file__).parents[2] / "cli" / "monoquant"),
    )
)

DOCS = pathlib.Path(__file__).parents[2] / "docs"

# The environment decides about directories, bars, colours and kernels.
_IGNORED = ("BUILD_WORKING_DIRECTORY", "CI", "MONOQUANT_SIMD", "NO_COLOR",
            "TERM")


def environment(**variables):
    """This process's environment without what monoquant looks at."""
    result = {k: v for k, v in os.environ.items() if k not in _IGNORED}
    result.update(variables)
    return result


def snapshot(folder):
    """Everything below `folder`: {relative path: what it is}."""
    found = {}
    for path in sorted(pathlib.Path(folder).rglob("*")):
        name = str(path.relative_to(folder))
        if path.is_symlink():
            found[name] = "link to " + os.readlink(path)
        elif path.is_dir():
            found[name] = "directory"
        elif path.stat().st_size > 2**24:
            found[name] = "%d bytes" % path.stat().st_size
        else:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


class CliTestCase(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        self.folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(shutil.rmtree, self.folder)

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def run_cli(self, *args, cwd=None, env=None, prefix=(), max_file_bytes=None):
        """Runs `monoquant ARGS` in the test's folder."""

        def limit():
            resource.setrlimit(
                resource.RLIMIT_FSIZE, (max_file_bytes, max_file_bytes)
            )

        return subprocess.run(
            [*prefix, PROGRAM, *map(str, args)],
            cwd=cwd or self.folder,
            env=env or environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            encoding="utf-8",
            preexec_fn=limit if max_file_bytes else None,
        )

    def succeed(self, *args, **kwargs):
        """Runs a command that must work; returns what it printed."""
        process = self.run_cli(*args, **kwargs)
        self.assertEqual(process.returncode, 0, process.stderr)
        return process.stdout

    def check_message(self, process, exit_code, mentions):
        """One line on stderr, with all of `mentions` and a next step."""
        lines = process.stderr.splitlines()
        self.assertEqual(len(lines), 1, process.stderr)
        self.assertTrue(lines[0].startswith("monoquant: error: "), lines[0])
        for text in mentions:
            self.assertIn(text, lines[0])
        self.assertIn("; ", lines[0], "no next step")
        self.assertEqual(process.returncode, exit_code, lines[0])

    def fail_with(self, exit_code, *args, mentions=(), stdout="", **kwargs):
        """Runs a command that must fail and must leave no trace."""
        before = snapshot(self.folder)
        process = self.run_cli(*args, **kwargs)
        self.check_message(process, exit_code, mentions)
        if stdout is not None:
            self.assertEqual(process.stdout, stdout)
        self.assertEqual(snapshot(self.folder), before)
        return process


def reset_signals():
    """For preexec_fn: a background job is born with SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
