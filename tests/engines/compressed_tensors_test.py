"""Transformers and compressed-tensors load what `--to compressed-tensors` wrote.

Each layer's effective weight equals monoquant's own dequantized weight, bit for
bit, and the outputs of the model are those of the same model with the dequantized
weights. A file with its nibbles swapped, or a configuration without its status,
is told from that.
"""

import os
import unittest

from tests.support import optional

optional.require_pypi()

from tests.engines import quiet

import torch

from tests.engines import small_llama
from tests.engines.engine_test_case import (
    EngineTestCase, change_config, change_tensors, load, read_config)
from tests.support import monoquant

SCHEMES = {
    "int4 in groups": ["--bits", 4, "-g", 32],
    "int4 per channel": ["--bits", 4, "--granularity", "axis"],
    "int8 per channel": ["--bits", 8],
    "int8 in groups": ["--bits", 8, "-g", 64],
    "fp8 per channel": ["--type", "fp8_e4m3"],
    "fp8 per tensor": ["--type", "fp8_e4m3", "--granularity", "tensor"],
    "fp8 in blocks": ["--type", "fp8_e4m3", "--granularity", "block", "-g", 64],
    "int4 and int8": ["--bits", 4, "-g", 32,
                      "--rule", "*.mlp.down_proj.weight=int8,scale_dtype=bf16"],
    "one layer left out": ["--bits", 8, "--skip", "*.1.mlp.up_proj.weight"],
}


def least_cosine(args):
    """Activations too have 8 bits where the configuration says so, and those of
    FP8 three bits of mantissa."""
    return 0.99 if "fp8_e4m3" in args else 0.999


class CompressedTensorsTest(EngineTestCase):

    FORMAT = "compressed-tensors"

    def check(self, output, dtype=torch.bfloat16, source=None):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        model = load(output, dtype)
        outputs = small_llama.logits(model)  # decompresses
        weights = self.floats(output)
        return (self.worst(model, weights),
                self.similarity(outputs, weights, dtype, source))

    def test_every_scheme(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(self.write(name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, least_cosine(args))

    def test_a_model_of_float32(self):
        source = os.path.join(self.folder, "float32")
        small_llama.make(source, torch.float32)
        output = self.write("float32_int4", *SCHEMES["int4 in groups"],
                            source=source)
        worst, similar = self.check(output, torch.float32, source)
        self.assertEqual(worst, 0)
        self.assertGreater(similar, 0.999)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["one layer left out"])
        config = read_config(output)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, read_config(self.source))
        self.assertEqual(quantization["quantization_status"], "compressed")
        self.assertEqual(quantization["format"], "int-quantized")
        self.assertIn("model.layers.1.mlp.up_proj", quantization["ignore"])
        self.assertNotIn("model.layers.0.mlp.up_proj", quantization["ignore"])
        self.assertTrue(os.path.exists(
            os.path.join(output, "generation_config.json")))

    def test_swapped_nibbles_are_told(self):
        output = self.write("swapped", *SCHEMES["int4 in groups"])
        weights = self.floats(output)

        def swap(tensors):
            for name, tensor in tensors.items():
                if name.endswith("_packed"):
                    b = tensor.view(torch.uint8)
                    tensors[name] = (b >> 4 | b << 4).view(torch.int32)

        change_tensors(output, swap)
        model = load(output)
        small_llama.logits(model)
        self.assertGreater(self.worst(model, weights), 0.1)

    def test_a_missing_status_is_told(self):
        output = self.write("status", *SCHEMES["int4 in groups"])
        weights = self.floats(output)
        change_config(output, lambda config: config.pop("quantization_status"))
        try:
            model = load(output)
            small_llama.logits(model)
            worst = self.worst(model, weights)
        except Exception:  # also told
            return
        self.assertGreater(worst, 0.1)

    def test_the_example(self):
        output = self.write("example", *SCHEMES["int8 per channel"])
        text = self.run_example("load_compressed_tensors.py", output)
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
                plain = os.path.join(self.folder, "plain.safetensors")
                # As it is chosen for engines, in monoquant's own storage.
                monoquant.quantize(self.source, plain, *args, "--scale-dtype",
                                   "bf16", "--skip", "lm_head.weight")
                mine, theirs = self.floats(plain), self.floats(output)
                self.assertEqual(mine.keys(), theirs.keys())
                for key in mine:
                    self.assertTrue(torch.equal(mine[key], theirs[key]), key)


if __name__ == "__main__":
    unittest.main()
