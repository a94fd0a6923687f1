"""What the tests of engines share: a model, what monoquant makes of it, and
floats to compare with."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import safetensors
import safetensors.torch
import torch
import transformers

from tests.engines import small_llama
from tests.support import monoquant

_EXAMPLES = pathlib.Path(__file__).absolute().parents[2] / "examples" / "load"


def load(folder, dtype=torch.bfloat16, **options):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype, **options).eval()


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(
        a.flatten(), b.flatten(), dim=0).item()


def open_tensors(folder):
    """(the path of its only file of weights, {name: tensor})"""
    path = os.path.join(folder, "model.safetensors")
    return path, safetensors.torch.load_file(path)


def change_tensors(folder, change):
    """Saves what `change` makes of {name: tensor}."""
    path, tensors = open_tensors(folder)
    change(tensors)
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def read_config(folder):
    with open(os.path.join(folder, "config.json")) as file:
        return json.load(file)


def change_config(folder, change):
    """Saves what `change` makes of the quantization_config."""
    config = read_config(folder)
    change(config["quantization_config"])
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(config, file)


class EngineTestCase(unittest.TestCase):
    """`source` is the directory of a small Llama of BF16."""

    FORMAT = None  # of --to

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.source = os.path.join(cls.folder, "llama")
        cls.original = small_llama.make(cls.source)

    def write(self, name, *args, source=None):
        """Quantizes `source` into a directory of its own."""
        output = os.path.join(self.folder, name.replace(" ", "_"))
        monoquant.quantize(source or self.source, output, "--to", self.FORMAT,
                           *args)
        return output

    def floats(self, quantized, *args):
        """{name: weight} as monoquant dequantizes it, in the model's type."""
        output = os.path.join(self.folder, "floats.safetensors")
        monoquant.run("dequantize", "-m", quantized, "-o", output, "--force",
                      *args)
        return safetensors.torch.load_file(output)

    def check_same_floats(self, a, b):
        """That two quantized checkpoints stand for the same floats."""
        a, b = self.floats(a), self.floats(b)
        self.assertEqual(a.keys(), b.keys())
        for key in a:
            self.assertTrue(torch.equal(a[key], b[key]), key)

    def effective(self, module):
        """The weight that a layer has in effect, as [rows, columns]."""
        return module.weight.detach()

    def worst(self, model, weights):
        """The largest difference of a layer's weight, in largest values, before
        anything runs: some layers are packed anew then."""
        worst = 0
        for name, expected in weights.items():
            if expected.dim() != 2 or "embed" in name:
                continue
            module = model.get_submodule(name.removesuffix(".weight"))
            found = self.effective(module)
            expected = expected.to(found.dtype).float()
            error = (found.float() - expected).abs()
            error = error.nan_to_num(nan=float("inf")).max()
            worst = max(worst, (error / expected.abs().max()).item())
        return worst

    def similarity(self, outputs, weights, dtype, source=None):
        """The cosine between an engine's outputs and those of the same model with
        float weights."""
        reference = load(source or self.source, dtype)
        reference.load_state_dict(
            {name: weight.to(dtype) for name, weight in weights.items()})
        return cosine(outputs, small_llama.logits(reference))

    def run_example(self, name, *args):
        """What a program of examples/load prints."""
        return subprocess.run(
            [sys.executable, _EXAMPLES / name, *args], check=True,
            stdout=subprocess.PIPE, encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout
