"""Transformers and compressed-tensors load what `--to compressed-tensors` wrote.

Each layer's effective weight equals monoquant's own dequantized weight, bit for
bit, and the outputs of the model are those of the same model with the dequantized
weights. A file with its nibbles swapped, or a configuration without its status,
is told from that.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import safetensors
import safetensors.torch
import torch
import transformers

from tests.engines import small_llama
from tests.support import monoquant

SCHEMES = {
    "int4 in groups": ["--bits", 4, "-g", 32],
    "int4 per channel": ["--bits", 4, "--granularity", "axis"],
    "int8 per channel": ["--bits", 8],
    "int8 in groups": ["--bits", 8, "-g", 64],
    "fp8 per channel": ["--type", "fp8_e4m3"],
    "fp8 per tensor": ["--type", "fp8_e4m3", "--granularity", "tensor"],
    "int4 and int8": ["--bits", 4, "-g", 32,
                      "--rule", "*.mlp.down_proj.weight=int8,scale_dtype=bf16"],
    "one layer left out": ["--bits", 8, "--skip", "*.1.mlp.up_proj.weight"],
}


def least_cosine(args):
    """Activations too have 8 bits where the configuration says so, and those of
    FP8 three bits of mantissa."""
    return 0.99 if "fp8_e4m3" in args else 0.999


def load(folder, dtype=torch.bfloat16):
    return transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=dtype).eval()


def cosine(a, b):
    return torch.nn.functional.cosine_similarity(
        a.flatten(), b.flatten(), dim=0).item()


class CompressedTensorsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)
        cls.source = os.path.join(cls._folder.name, "llama")
        cls.original = small_llama.make(cls.source)

    def write(self, name, *args):
        """Quantizes into a directory of its own."""
        output = os.path.join(self._folder.name, name.replace(" ", "_"))
        monoquant.quantize(self.source, output, "--to", "compressed-tensors",
                           *args)
        return output

    def floats(self, quantized):
        """{name: weight} as monoquant dequantizes it, in the model's type."""
        output = os.path.join(self._folder.name, "floats.safetensors")
        monoquant.run("dequantize", "-m", quantized, "-o", output, "--force")
        return safetensors.torch.load_file(output)

    def worst(self, model, weights):
        """The largest difference of a Linear's weight, in largest values."""
        worst = 0
        for name, module in model.named_modules():
            if not isinstance(module, torch.nn.Linear):
                continue
            expected = weights[name + ".weight"].float()
            error = (module.weight.detach().float() - expected).abs().max()
            worst = max(worst, (error / expected.abs().max()).item())
        return worst

    def check(self, output, dtype=torch.bfloat16):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        model = load(output, dtype)
        outputs = small_llama.logits(model)  # decompresses
        weights = self.floats(output)
        reference = load(self.source, dtype)
        reference.load_state_dict(weights)
        return (self.worst(model, weights),
                cosine(outputs, small_llama.logits(reference)))

    def test_every_scheme(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(self.write(name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, least_cosine(args))

    def test_a_model_of_float32(self):
        folder = os.path.join(self._folder.name, "float32")
        small_llama.make(folder, torch.float32)
        output = folder + "_int4"
        monoquant.quantize(folder, output, "--to", "compressed-tensors",
                           *SCHEMES["int4 in groups"])
        worst, similar = self.check(output, torch.float32)
        self.assertEqual(worst, 0)
        self.assertGreater(similar, 0.999)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["one layer left out"])
        with open(os.path.join(output, "config.json")) as file:
            config = json.load(file)
        with open(os.path.join(self.source, "config.json")) as file:
            original = json.load(file)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, original)
        self.assertEqual(quantization["quantization_status"], "compressed")
        self.assertEqual(quantization["format"], "int-quantized")
        self.assertIn("model.layers.1.mlp.up_proj", quantization["ignore"])
        self.assertNotIn("model.layers.0.mlp.up_proj", quantization["ignore"])
        self.assertTrue(os.path.exists(
            os.path.join(output, "generation_config.json")))

    def damage(self, output):
        """The path of its weights, and their tensors, to be saved again."""
        path = os.path.join(output, "model.safetensors")
        with safetensors.safe_open(path, "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
        return path, tensors

    def test_swapped_nibbles_are_told(self):
        output = self.write("swapped", *SCHEMES["int4 in groups"])
        weights = self.floats(output)
        path, tensors = self.damage(output)
        for name, tensor in tensors.items():
            if name.endswith("_packed"):
                b = tensor.view(torch.uint8)
                tensors[name] = (b >> 4 | b << 4).view(torch.int32)
        safetensors.torch.save_file(tensors, path, {"format": "pt"})
        model = load(output)
        small_llama.logits(model)
        self.assertGreater(self.worst(model, weights), 0.1)

    def test_a_missing_status_is_told(self):
        output = self.write("status", *SCHEMES["int4 in groups"])
        weights = self.floats(output)
        path = os.path.join(output, "config.json")
        with open(path) as file:
            config = json.load(file)
        del config["quantization_config"]["quantization_status"]
        with open(path, "w") as file:
            json.dump(config, file)
        try:
            model = load(output)
            small_llama.logits(model)
            worst = self.worst(model, weights)
        except Exception:  # also told
            return
        self.assertGreater(worst, 0.1)

    def test_the_example(self):
        output = self.write("example", *SCHEMES["int8 per channel"])
        root = pathlib.Path(__file__).absolute().parents[2]
        text = subprocess.run(
            [sys.executable, root / "examples/load/load_compressed_tensors.py",
             output], check=True, stdout=subprocess.PIPE, encoding="utf-8",
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}).stdout
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)

    def test_it_is_read_back(self):
        """The same floats as from monoquant's own storage; shards too."""
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                output = self.write("shards of " + name, *args,
                                    "--max-shard-size", "100K")
                self.assertTrue(os.path.exists(os.path.join(
                    output, "model.safetensors.index.json")))
                plain = os.path.join(self._folder.name, "plain.safetensors")
                # As it is chosen for engines, in monoquant's own storage.
                monoquant.quantize(self.source, plain, *args, "--scale-dtype",
                                   "bf16", "--skip", "lm_head.weight")
                mine, theirs = self.floats(plain), self.floats(output)
                self.assertEqual(mine.keys(), theirs.keys())
                for key in mine:
                    self.assertTrue(torch.equal(mine[key], theirs[key]), key)


if __name__ == "__main__":
    unittest.main()
