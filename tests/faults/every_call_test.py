"""The program ends, or the disk fails, at every single call that changes a file.

After each of them nothing wrong, partial or lost is under any name, and the same
command, run again, gives the same bytes as if nothing had happened.
"""

import errno
import os
import shutil
import tempfile
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import snapshot
from tests.faults.faults import FaultTestCase, leftovers, model

# One thread, so that the calls come in the same order each time.
RUNNING = ("-T", "1", "--chunk-size", "64K", "--quiet")
FULL, BROKEN = errno.ENOSPC, errno.EIO
FAULTS = ("kill", "killed", "torn", FULL, BROKEN)


class EveryCallTest(FaultTestCase):

    def setUp(self):
        super().setUp()
        self.before = tempfile.mkdtemp(dir=os.environ.get("TEST_TMPDIR"))
        self.addCleanup(shutil.rmtree, self.before)

    def begin_with(self, *command):
        """The folder as it is now is where every run begins. Gives the number
        of calls of a whole run, and what it leaves."""
        shutil.rmtree(self.before)
        shutil.copytree(self.folder, self.before, symlinks=True)
        calls = self.count_calls(*command)
        after = snapshot(self.folder)
        self.assertEqual(leftovers(self.folder), [])
        return calls, after

    def check_each_is_old_or_new(self, before, after):
        """No file is anything but what it was, or what it is to be."""
        found = snapshot(self.folder)
        for name, what in found.items():
            if name in leftovers(self.folder):
                continue
            self.assertIn(what, (before.get(name), after.get(name)), name)
        for name in before:
            self.assertIn(name, found)

    def check(self, *command, may_be_complete=(), faults=FAULTS):
        """May be complete: names that are there once the run has all but ended;
        the same command then says so."""
        command = (*command, *RUNNING)
        before = snapshot(self.folder)
        calls, after = self.begin_with(*command)
        self.assertGreater(calls, 10)
        for fault in faults:
            kept = 0
            for at in range(calls):
                with self.subTest(fault=fault, at=at):
                    self.refill(self.before)
                    process = self.run_with_fault(fault, at, *command)
                    self.check_each_is_old_or_new(before, after)
                    if isinstance(fault, str):
                        self.assertEqual(process.returncode, -9)
                    else:
                        self.check_failure(process, before)
                        kept += process.returncode == 7
                    if (may_be_complete and all(
                            os.path.exists(self.path(name))
                            for name in may_be_complete)):
                        continue
                    self.succeed(*command)
                    self.assertEqual(snapshot(self.folder), after)
            if not isinstance(fault, str):
                self.assertGreater(kept, 5, "nothing was ever kept")

    def check_failure(self, process, before):
        """A clear error that says whether there is something to go on from, or
        a run that could do without the call."""
        if process.returncode == 0:
            return
        self.assertIn(process.returncode, (5, 7), process.stderr)
        self.assertTrue(process.stderr.startswith("monoquant: error: "))
        self.assertEqual(process.stderr.count("\n"), 1)
        kept = "the same command goes on from there" in process.stderr
        self.assertEqual(process.returncode == 7, kept, process.stderr)
        if not kept:
            self.assertEqual(snapshot(self.folder), before)

    def test_a_file(self):
        for name, faults in (("out.safetensors", FAULTS),
                             ("out.pt", ("torn", FULL)),
                             ("out.mqir", ("torn", FULL))):
            with self.subTest(name):
                make_checkpoints.write_safetensors(
                    self.path("model.safetensors"), model())
                self.check("quantize", "model.safetensors", "-o", name,
                           may_be_complete=[name], faults=faults)
                self.refill(self.before)

    def test_a_file_that_is_replaced(self):
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           model())
        with open(self.path("out.safetensors"), "wb") as file:
            file.write(b"the only copy")
        self.check("quantize", "model.safetensors", "-o", "out.safetensors",
                   "--force", "--type", "int4", "--granularity", "tensor")

    def write_directory(self):
        os.mkdir(self.path("model"))
        make_checkpoints.write_safetensors(
            self.path("model", "model.safetensors"), model())
        with open(self.path("model", "config.json"), "w") as file:
            file.write("{}")

    def test_a_new_directory(self):
        self.write_directory()
        self.check("quantize", "model", "-o", "out", "--max-shard-size", "40K",
                   may_be_complete=["out"])

    def test_a_directory_that_is_added_to(self):
        self.write_directory()
        os.mkdir(self.path("there"))
        with open(self.path("there", "config.json"), "w") as file:
            file.write("old")
        self.check("quantize", "model", "-o", "there", "--force",
                   "--max-shard-size", "40K")

    def test_writes_that_do_a_half(self):
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           model())
        command = ("quantize", "model.safetensors", "-o", "out.pt", *RUNNING)
        calls, after = self.begin_with(*command)
        for at in range(calls):
            self.refill(self.before)
            process = self.run_with_fault("short", at, *command)
            self.assertEqual(process.returncode, 0, process.stderr)
            self.assertEqual(snapshot(self.folder), after)


if __name__ == "__main__":
    unittest.main()
