"""A 3 GB checkpoint is quantized in less than 64 MB of memory.

With default flags, and as one tensor as well as many; and in what --max-memory
allows. The checkpoint is sparse and all zero; its INT8 form takes 0.8 GB of disk
while the test runs.
"""

import os
import subprocess
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import PROGRAM, CliTestCase, environment

LIMIT = 64 * 2**20


class MemoryTest(CliTestCase):

    def peak(self, *args):
        """Runs a command; its largest resident set in bytes."""
        process = subprocess.Popen(
            [PROGRAM, *args, "--quiet"], cwd=self.folder, env=environment(),
            stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
        error = process.stderr.read()
        process.stderr.close()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        self.assertEqual(process.returncode, 0, error)
        return usage.ru_maxrss * 1024

    def check(self, tensors, *flags):
        model = make_checkpoints.write_sparse(
            self.path("model.safetensors"), 3, tensors)
        self.assertGreaterEqual(os.path.getsize(model), 3 * 10**9)
        peak = self.peak("quantize", model, "-o", "out.safetensors", "--force",
                         *flags)
        self.assertLess(peak, LIMIT)
        self.assertGreater(os.path.getsize(self.path("out.safetensors")),
                           3 * 10**9 // 4)

    def test_many_tensors(self):
        self.check(96)

    def test_one_tensor_with_one_scale(self):
        """Statistics of the whole tensor before the first code: two phases."""
        self.check(1, "--granularity", "tensor")

    def test_max_memory_holds(self):
        model = make_checkpoints.write_sparse(
            self.path("model.safetensors"), 1, 3)
        for flags in ((), ("--granularity", "tensor"), ("-T", "8")):
            # The system counts this interpreter's memory too, before the
            # program is loaded: less cannot be measured.
            for limit in (24, 48):
                with self.subTest(flags=flags, limit=limit):
                    peak = self.peak("quantize", model, "-o", "out.pt",
                                     "--force", "--max-memory",
                                     "%dM" % limit, *flags)
                    self.assertLess(peak, limit * 2**20)

    def test_max_memory_refuses_before_anything_is_written(self):
        make_checkpoints.write_sparse(self.path("model.safetensors"), 1, 3)
        for command in ("plan", "quantize", "convert"):
            with self.subTest(command):
                output = () if command == "plan" else ("-o", "out.pt")
                self.fail_with(
                    5, command, "model.safetensors", *output, "--max-memory",
                    "1M", mentions=(
                        "--max-memory 1.0 MiB: this run takes ",
                        "with one thread and pieces of 64.0 KiB", "; allow more"))


if __name__ == "__main__":
    unittest.main()
