"""An interrupted run says so, exits with 130 and leaves nothing behind that was
not asked for: what --resume keeps is tested in //tests/faults."""

import os
import signal
import subprocess
import time
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import (PROGRAM, CliTestCase, environment,
                                     reset_signals, snapshot)


class InterruptTest(CliTestCase):

    def setUp(self):
        super().setUp()
        make_checkpoints.write_sparse(self.path("model.safetensors"), 3)

    def start(self, *args):
        return subprocess.Popen(
            [PROGRAM, *args, "--progress", "none"], cwd=self.folder,
            env=environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, encoding="utf-8", preexec_fn=reset_signals)

    def check(self, process, number, before):
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 130, err)
        self.assertEqual(
            err, "monoquant: error: interrupted; nothing was written\n")
        self.assertEqual(out, "")
        self.assertEqual(snapshot(self.folder), before)

    def test_while_writing(self):
        before = snapshot(self.folder)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with self.subTest(number):
                process = self.start("quantize", "model.safetensors", "-o",
                                     "out.pt", "-T", "1", "--chunk-size", "64K",
                                     "--no-resume")
                while not any(name.endswith(".tmp")
                              for name in os.listdir(self.folder)):
                    self.assertIsNone(process.poll(), "ended too early")
                    time.sleep(0.005)
                self.check(process, number, before)

    def test_while_reading(self):
        before = snapshot(self.folder)
        process = self.start("inspect", "model.safetensors", "--hash")
        time.sleep(0.5)
        self.assertIsNone(process.poll(), "ended too early")
        self.check(process, signal.SIGINT, before)

    def test_while_looking_for_nan(self):
        before = snapshot(self.folder)
        process = self.start("quantize", "model.safetensors", "-o", "out.pt",
                             "--nonfinite", "keep", "-T", "1", "--simd",
                             "scalar")
        time.sleep(0.2)
        self.assertIsNone(process.poll(), "ended too early")
        self.check(process, signal.SIGINT, before)

    def test_a_second_signal_does_not_wait(self):
        before = snapshot(self.folder)
        process = self.start("quantize", "model.safetensors", "-o", "out.pt",
                             "--nonfinite", "keep", "--no-resume")
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
        time.sleep(0.1)
        self.check(process, signal.SIGINT, before)


if __name__ == "__main__":
    unittest.main()
