"""What the tests of directories that an engine wrote share: a model, and how
monoquant reads what the engine made of it."""

import os
import tempfile
import unittest

import safetensors.torch
import torch

from tests.engines import small_llama
from tests.support import monoquant


class ForeignTestCase(unittest.TestCase):
    """`source` is the directory of a small Llama, of BF16 by default."""

    LLAMA = {}  # options of small_llama.make

    @staticmethod
    def as_loaded(folder, dtype):
        """{name: weight} of the quantized layers, as the engine has them."""
        raise NotImplementedError

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)
        cls.source = os.path.join(cls._folder.name, "llama")
        small_llama.make(cls.source, **cls.LLAMA)

    def path(self, name):
        return os.path.join(self._folder.name, name.replace(" ", "_"))

    def read(self, folder, *args, command="dequantize"):
        """{name: weight} as monoquant dequantizes it, or as another command
        reads it."""
        output = self.path("floats.safetensors")
        monoquant.run(command, "-m", folder, "-o", output, "--force", *args)
        return safetensors.torch.load_file(output)

    def check(self, weights, expected):
        self.assertGreater(len(expected), 0)
        for key, weight in expected.items():
            self.assertEqual(weights[key].dtype, weight.dtype, key)
            self.assertTrue(torch.equal(weights[key], weight), key)

    def check_folder(self, folder):
        self.check(self.read(folder), self.as_loaded(folder, torch.bfloat16))
        self.check(self.read(folder, "--dtype", "f32"),
                   self.as_loaded(folder, torch.float32))
