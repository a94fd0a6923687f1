"""A 3 GB checkpoint is quantized in less than 300 MB of memory.

With default flags, and as one tensor as well as many. The checkpoint is sparse
and all zero; its INT8 form takes 0.8 GB of disk while the test runs.
"""

import os
import subprocess
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import PROGRAM, CliTestCase, environment

LIMIT = 300 * 1000 * 1000


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


if __name__ == "__main__":
    unittest.main()
