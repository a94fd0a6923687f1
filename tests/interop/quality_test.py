"""What quantization does to the size and to the results of real models."""

import os
import re
import subprocess
import sys
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import torch

import safetensors.torch

from tests.support import monoquant, real_checkpoints


class QualityTest(unittest.TestCase):

    def setUp(self):
        if real_checkpoints.checkpoint("") is None:
            print(real_checkpoints.ABSENT)
            self.skipTest("no checkpoints")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_crepe_tiny_shrinks(self):
        """A real INT8 file has at most 27 % of the bytes and loads anywhere."""
        model = real_checkpoints.checkpoint("crepe_tiny.pth")
        for extension, load in (
                (".pth", lambda p: torch.load(p, weights_only=True)),
                (".safetensors", safetensors.torch.load_file)):
            output = self.path("crepe" + extension)
            monoquant.quantize(model, output, "--bits", 8)
            self.assertLessEqual(os.path.getsize(output),
                                 0.27 * os.path.getsize(model))
            state = load(output)
            self.assertEqual(state["conv1.weight"].dtype, torch.int8)
            self.assertIn("conv1.weight.scale", state)

    def perplexity(self, checkpoint):
        tool = real_checkpoints.tool("perplexity_tinystoriesgru.py")
        # The child finds torch where this process does.
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
        text = subprocess.run(
            [sys.executable, tool, checkpoint], check=True, env=environment,
            stdout=subprocess.PIPE, encoding="utf-8").stdout
        return float(re.match(r"perplexity ([0-9.]+) ", text).group(1))

    def test_language_model_keeps_its_perplexity(self):
        """INT8 and back costs less than a hundredth of the perplexity."""
        model = real_checkpoints.checkpoint("tinystoriesgru.pt")
        quantized, floats = self.path("q.pt"), self.path("f.pt")
        monoquant.quantize(model, quantized, "--bits", 8)
        monoquant.run("dequantize", quantized, "-o", floats)
        self.assertLessEqual(self.perplexity(floats), 2.335)


if __name__ == "__main__":
    unittest.main()
