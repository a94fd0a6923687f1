"""Runs the monoquant program under test and reads what it prints."""

import json
import os
import pathlib
import subprocess

# Beside this file in the runfiles of a Bazel test. By hand, outside Bazel:
# MONOQUANT=bazel-bin/cli/monoquant python3 -m tests.oracles.casts_test
PROGRAM = os.environ.get(
    "MONOQUANT",
    str(pathlib.Path(__file__).parents[2] / "cli" / "monoquant"),
)


class Failed(AssertionError):
    """monoquant ended with an exit code other than 0."""

    def __init__(self, args, process):
        super().__init__(
            "monoquant %s\nended with exit code %d: %s"
            % (" ".join(args), process.returncode, process.stderr.strip())
        )
        self.exit_code = process.returncode
        self.message = process.stderr.strip()


def run(*args):
    """Runs `monoquant ARGS`; returns its stdout. Raises Failed."""
    args = [str(arg) for arg in args]
    process = subprocess.run(
        [PROGRAM, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        encoding="utf-8",
    )
    if process.returncode != 0:
        raise Failed(args, process)
    return process.stdout


def run_json(*args):
    """As run, with --json; returns the document."""
    return json.loads(run(*args, "--json"))


def quantize(model, output, *args):
    """Quantizes `model` into `output`, replacing it; returns the report."""
    return run_json("quantize", "-m", model, "-o", output, "--force", *args)
