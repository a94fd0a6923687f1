"""Whatever a file is, the program says so in one line, or reads it right.

Every file of the corpus beside this test goes through `inspect`, `scan` and
`quantize`, each in a process of its own, within 512 MiB and 10 s. No crash, no
canary, no trace left behind, the input as it was, and nothing on the terminal
that the file has put there.

By hand, one case: MONOQUANT=bazel-bin/cli/monoquant python3 -m
tests.hostile.hostile_test --only=zip_comment
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import unittest

from tests.hostile import corpus, scanner_bypasses
from tests.hostile.case import ERROR, OK
from tests.hostile.snapshot import snapshot

MAX_BYTES = 512 << 20
# Of the processor, so that a busy machine fails no test.
MAX_SECONDS = 10
# At the clock: this hangs.
TIMEOUT = 60

# Texts that belong to a bug or to a library, not to a user.
_INTERNALS = ("INVALID_ARGUMENT", "DATA_LOSS", "INTERNAL:", "RET_CHECK", "absl",
              "std::", "nlohmann", "terminate called", ".cc:", "runtime error",
              "AddressSanitizer", "bug in monoquant")

MAX_OUTPUT = 1 << 22

# What could write to a terminal.
_CONTROL = re.compile(rb"[\x00-\x09\x0b-\x1f\x7f]")

# Bazel runs parts of this test side by side.
SHARD = int(os.environ.get("TEST_SHARD_INDEX", 0))
SHARDS = int(os.environ.get("TEST_TOTAL_SHARDS", 1))

options = argparse.Namespace()


def make(case, folder):
    """Makes the case in a process of its own: the peak of this one's memory
    would count as that of the programs that it starts."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            os.write(writer, os.fsencode(case.make(folder)))
            status = 0
        finally:
            os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        path = os.fsdecode(pipe.read())
    _, status = os.waitpid(child, 0)
    assert status == 0, case.name
    return path


class Run:
    """A finished process: exit code, streams, seconds and bytes."""

    def __init__(self, args, folder):
        environment = {k: v for k, v in os.environ.items()
                       if k not in ("BUILD_WORKING_DIRECTORY", "TERM")}
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = subprocess.Popen(
                [options.program, *args], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=out, stderr=err)
            watchdog = threading.Timer(TIMEOUT, process.kill)
            watchdog.start()
            _, status, usage = os.wait4(process.pid, 0)
            watchdog.cancel()
            self.code = process.returncode = os.waitstatus_to_exitcode(status)
            # Of a listing without end, the beginning is enough.
            self.whole = out.tell() <= MAX_OUTPUT
            out.seek(0)
            err.seek(0)
            self.stdout = out.read(MAX_OUTPUT)
            self.stderr = err.read(MAX_OUTPUT)
        self.seconds = usage.ru_utime + usage.ru_stime
        self.bytes = usage.ru_maxrss * 1024


class HostileTest(unittest.TestCase):

    def check(self, case):
        folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        try:
            path = make(case, folder)
            name = os.path.relpath(path, folder)
            before = snapshot(folder)

            def run(command, *args):
                finished = Run([command, name, *args], folder)
                self.check_run(case, folder, finished, command)
                return finished

            inspect = run("inspect", "--json")
            scan = run("scan", "--json")
            self.assertEqual(snapshot(folder), before)
            output = os.path.join(folder, "out.safetensors")
            flags = ["--recipe", case.recipe] if case.recipe else []
            quantize = run("quantize", "-q", "-o", output, *flags)
            if quantize.code == 0:
                os.unlink(output)
            self.assertEqual(snapshot(folder), before)

            self.check_outcome(case, inspect, quantize)
            if case.verdicts:
                self.assertIn(json.loads(scan.stdout)["verdict"], case.verdicts)
            if case.tensors is not None:
                self.check_tensors(case, folder, name)
        finally:
            shutil.rmtree(folder)

    def check_run(self, case, folder, run, command):
        text = run.stderr.decode(errors="replace")
        if options.verbose:
            print("%-48s %-8s %3d %6.2f s %5d MiB  %s" % (
                case.name, command, run.code, run.seconds, run.bytes >> 20,
                text.strip()[:300]), flush=True)
        self.assertIn(run.code, (0, 2, 3, 5, 6), "%s: %s" % (command, text))
        self.assertLess(run.seconds, MAX_SECONDS, command)
        self.assertLess(run.bytes, MAX_BYTES, command)
        # --json is ASCII whatever the names in the file are.
        if run.stdout and run.whole:
            document = json.loads(run.stdout.decode("ascii"))
            if command == "inspect":
                self.assertEqual("error" in document, run.code != 0)
        for stream in (run.stdout, run.stderr):
            self.assertIsNone(_CONTROL.search(stream), stream[:1000])
        if run.code != 0:
            self.check_message(text)

    def check_message(self, text):
        self.assertEqual(len(text.splitlines()), 1, text)
        self.assertTrue(text.startswith("monoquant: error: "), text)
        self.assertLess(len(text), 2000, text)
        self.assertTrue(any(name in text for name in ("model", "recipe")), text)
        for internal in _INTERNALS:
            self.assertNotIn(internal, text)

    def check_outcome(self, case, inspect, quantize):
        message = quantize.stderr.decode(errors="replace")
        if case.outcome == OK:
            self.assertEqual(inspect.code, 0, inspect.stderr)
            self.assertEqual(quantize.code, 0, message)
        elif case.outcome == ERROR:
            # Opening does not look at what is not needed yet.
            self.assertNotEqual(quantize.code, 0, "it was accepted")
            self.assertIn(case.mentions, message)
        if inspect.code != 0:
            self.assertNotEqual(quantize.code, 0, "inspect refused it")

    def check_tensors(self, case, folder, name):
        run = Run(["inspect", "--json", "--hash", name], folder)
        found = {
            tensor["name"]: (tensor["dtype"], tensor["shape"], tensor["sha256"])
            for tensor in json.loads(run.stdout)["tensors"]}
        self.assertEqual(found, {
            key: (dtype, shape, hashlib.sha256(data).hexdigest())
            for key, (dtype, shape, data) in case.tensors.items()})

    def test_payloads_are_live(self):
        """The canary that must not sing here sings where Python unpickles."""
        for name in scanner_bypasses.LIVE:
            with self.subTest(name), tempfile.TemporaryDirectory() as folder:
                with open(os.path.join(folder, "payload"), "wb") as file:
                    file.write(scanner_bypasses.payload(name))
                subprocess.run(
                    [sys.executable, "-c",
                     "import pickle; pickle.load(open('payload', 'rb'))"],
                    cwd=folder, stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL)
                # Some only start a program and do not wait for it.
                canary = os.path.join(folder, "CANARY")
                deadline = time.monotonic() + 30
                while not os.path.exists(canary) and time.monotonic() < deadline:
                    time.sleep(0.05)
                self.assertTrue(os.path.exists(canary))

    def test_corpus(self):
        names = set()
        for number, case in enumerate(corpus.cases()):
            self.assertNotIn(case.name, names)
            names.add(case.name)
            if options.only in case.name and number % SHARDS == SHARD:
                with self.subTest(case.name):
                    self.check(case)
        print("%d files" % len(names))
        self.assertGreaterEqual(len(names), 300)


if __name__ == "__main__":
    if "TEST_SHARD_STATUS_FILE" in os.environ:
        with open(os.environ["TEST_SHARD_STATUS_FILE"], "w") as status:
            status.write("")
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", default=os.environ.get("MONOQUANT"))
    parser.add_argument("--only", default="")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    unittest.main(argv=sys.argv[:1])
