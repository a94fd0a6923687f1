"""A checkpoint that changes while it is read gives an error and no output."""

import os
import signal
import subprocess
import time
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import (PROGRAM, CliTestCase, environment,
                                     reset_signals, snapshot)


class ChangedInputTest(CliTestCase):

    def run_with(self, change, *model):
        """Runs quantize and calls `change` when the output has been begun."""
        process = subprocess.Popen(
            [PROGRAM, "quantize", *model, "-o", "out/", "-T", "1",
             "--chunk-size", "64K", "--simd", "scalar", "--quiet"],
            cwd=self.folder, env=environment(), stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8",
            preexec_fn=reset_signals)
        while not any(name.endswith(".tmp") for name in os.listdir(self.folder)):
            self.assertIsNone(process.poll(), "ended too early")
            time.sleep(0.002)
        process.send_signal(signal.SIGSTOP)
        self.assertIsNone(process.poll(), "ended too early")
        change()
        before = {name: what for name, what in snapshot(self.folder).items()
                  if ".mq-resume." not in name}
        process.send_signal(signal.SIGCONT)
        _, error = process.communicate(timeout=120)
        self.assertEqual(snapshot(self.folder), before)
        return process.returncode, error

    def check(self, change, name, *model):
        code, error = self.run_with(change, *model)
        self.assertEqual(code, 6, error)
        self.assertIn(name + ": was changed while it was read", error)
        self.assertEqual(error.count("\n"), 1)

    def test_a_file_that_is_written_to(self):
        path = make_checkpoints.write_sparse(self.path("model.safetensors"), 1)

        def change():
            with open(path, "r+b") as file:
                file.seek(-1, os.SEEK_END)
                file.write(b"x")

        self.check(change, "model.safetensors", "model.safetensors")

    def test_a_file_that_is_replaced(self):
        path = make_checkpoints.write_sparse(self.path("model.safetensors"), 1)

        def change():
            with open(path + ".new", "wb") as file:
                file.truncate(os.path.getsize(path))
            os.rename(path + ".new", path)

        self.check(change, "model.safetensors", "model.safetensors")

    def test_a_side_file(self):
        os.mkdir(self.path("model"))
        make_checkpoints.write_sparse(self.path("model", "model.safetensors"), 1)
        config = self.path("model", "config.json")
        with open(config, "w") as file:
            file.write("{}")

        def change():
            with open(config, "w") as file:
                file.write('{"changed": true}')

        self.check(change, "config.json", "model")


if __name__ == "__main__":
    unittest.main()
