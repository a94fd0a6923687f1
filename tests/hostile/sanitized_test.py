"""The corpus once more, in a program under the address and undefined-behaviour
sanitizers, many files to a process: opened and read, scanned, quantized.

The cases that go up to a limit are left to hostile_test.py: they repeat a few
steps millions of times.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

from tests.hostile import corpus
from tests.hostile.snapshot import snapshot

BATCH = 100

# Names of files on disk are escaped where the command line prints them, not in
# the library's messages, which this looks at.
LEFT_OUT = ("directory_of_odd_names",)

options = argparse.Namespace()


def batches():
    cases = []
    for case in corpus.cases():
        if case.name in LEFT_OUT or (case.heavy and not options.heavy):
            continue
        if options.only in case.name:
            cases.append(case)
        if len(cases) == (1 if options.heavy else BATCH):
            yield cases
            cases = []
    if cases:
        yield cases


class SanitizedTest(unittest.TestCase):

    def check(self, cases):
        """Returns how many were tried."""
        folder = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        try:
            paths = []
            for case in cases:
                inside = os.path.join(folder, case.name)
                os.mkdir(inside)
                paths.append(os.path.relpath(case.make(inside), folder))
            with open(os.path.join(folder, "list"), "w") as file:
                file.write("".join(path + "\n" for path in paths))
            before = snapshot(folder)
            environment = {
                **os.environ,
                "ASAN_OPTIONS": "allocator_may_return_null=1:"
                                "detect_stack_use_after_return=1",
                "UBSAN_OPTIONS": "print_stacktrace=1"}
            process = subprocess.run(
                [options.program, "list"], cwd=folder, env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                stderr=subprocess.PIPE)
            tried = os.fsdecode(process.stdout).splitlines()
            self.assertEqual(process.returncode, 0, "%s\n%s" % (
                tried[-1:], process.stderr.decode(errors="replace")))
            self.assertEqual(tried, paths)
            self.assertEqual(snapshot(folder), before)
            return len(tried)
        finally:
            shutil.rmtree(folder)

    def test_corpus(self):
        tried = 0
        for cases in batches():
            with self.subTest(cases[0].name):
                tried += self.check(cases)
        print("%d files" % tried)
        if not options.only:
            self.assertGreaterEqual(tried, 300)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    parser.add_argument("--only", default="")
    parser.add_argument("--heavy", action="store_true",
                        help="the cases that are left out otherwise, too")
    options = parser.parse_args()
    options.program = os.path.abspath(options.program)
    unittest.main(argv=sys.argv[:1])
