"""Kills at random moments, with several threads: the run is killed again and
again, and goes on each time, until the output is there, with the right bytes."""

import hashlib
import os
import random
import signal
import subprocess
import time
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import PROGRAM, environment, reset_signals
from tests.faults.faults import FaultTestCase, leftovers, weights

KILLS = 50


class RandomKillsTest(FaultTestCase):

    def setUp(self):
        super().setUp()
        block = weights("block", 256, 1024)
        make_checkpoints.write_safetensors(
            self.path("model.safetensors"),
            [block._replace(name="layer%d.weight" % i) for i in range(24)])

    def command(self, output, *flags):
        return [PROGRAM, "quantize", "model.safetensors", "-o", output,
                "--chunk-size", "64K", "--quiet", "-T", "2", "--simd", "scalar",
                *flags]

    def sha256(self, name):
        with open(self.path(name), "rb") as file:
            return hashlib.sha256(file.read()).hexdigest()

    def test_kills(self):
        flags = ("--type", "int4")
        begin = time.monotonic()
        subprocess.run(self.command("whole.pt", *flags), cwd=self.folder,
                       env=environment(), check=True)
        seconds = time.monotonic() - begin
        expected = self.sha256("whole.pt")
        source = random.Random(1)
        killed = finished = went_on = 0
        while killed < KILLS:
            process = subprocess.Popen(
                self.command("out.pt", *flags), cwd=self.folder,
                env=environment(), stderr=subprocess.PIPE,
                stdin=subprocess.DEVNULL, preexec_fn=reset_signals)
            # Later ones on average: what goes on has less to do.
            time.sleep(source.random() * seconds)
            number = source.choice((signal.SIGKILL, signal.SIGTERM))
            process.send_signal(number)
            _, error = process.communicate(timeout=60)
            if process.returncode == 0:
                self.assertEqual(self.sha256("out.pt"), expected)
                self.assertEqual(leftovers(self.folder), [])
                os.remove(self.path("out.pt"))
                finished += 1
                continue
            self.assertIn(process.returncode, (-9, 130, -15), error)
            killed += 1
            if os.path.exists(self.path("out.pt")):
                # Killed between the last step and the removal of the log.
                self.assertEqual(self.sha256("out.pt"), expected)
                os.remove(self.path("out.pt"))
            went_on += len(leftovers(self.folder)) == 2
        self.assertGreater(went_on, KILLS // 4, "nothing was ever kept")
        subprocess.run(self.command("out.pt", *flags), cwd=self.folder,
                       env=environment(), check=True)
        self.assertEqual(self.sha256("out.pt"), expected)
        self.assertEqual(leftovers(self.folder), [])


if __name__ == "__main__":
    unittest.main()
