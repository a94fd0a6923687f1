"""--verify reads back what each command wrote, in every format.

That it finds what is wrong is shown by //cli:verify_output_test.
"""

import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import CliTestCase


class VerifyTest(CliTestCase):

    def setUp(self):
        super().setUp()
        make_checkpoints.write_torch(self.path("model.pt"),
                                     make_checkpoints.model())
        make_checkpoints.write_safetensors(self.path("model.safetensors"),
                                           make_checkpoints.model())

    def check(self, command, model, output, *flags):
        for what, words in (("all", "all tensors"),
                            ("sample", "every eighth tensor")):
            with self.subTest(command=command, output=output, what=what):
                process = self.run_cli(command, model, "-o", output, "--force",
                                       "--verify", what, *flags)
                self.assertEqual(process.returncode, 0, process.stderr)
                self.assertIn("compared with %s computed again: no difference"
                              % words, process.stdout)

    def test_formats(self):
        for model in ("model.pt", "model.safetensors"):
            for output in ("a.pt", "a.safetensors", "a.mqir"):
                self.check("quantize", model, output)
                self.check("quantize", model, output, "--bits", "4")
                self.check("convert", model, output)

    def test_floats_of_codes(self):
        self.check("quantize", "model.pt", "codes.safetensors")
        self.check("dequantize", "codes.safetensors", "floats.pt")

    def test_directories(self):
        self.check("quantize", "model.pt", "shards/", "--max-shard-size", "1M")

    def test_not_for_inspect(self):
        self.fail_with(2, "inspect", "model.pt", "--verify", "all",
                       mentions=("--verify",))


if __name__ == "__main__":
    unittest.main()
