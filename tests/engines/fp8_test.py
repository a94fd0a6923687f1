"""Transformers loads what `--to fp8` wrote.

Without a GPU it decodes the weights while it loads them. Each equals monoquant's
own dequantized weight, bit for bit; scales in another order are told.
"""

import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import torch

from tests.engines import small_llama
from tests.engines.engine_test_case import (
    EngineTestCase, change_tensors, load, read_config)
from tests.support import monoquant

SCHEMES = {
    "default": [],
    "blocks of 64": ["--granularity", "block", "-g", 64],
    "one layer left out": ["--granularity", "block",
                           "--skip", "*.1.mlp.up_proj.weight"],
}


class Fp8Test(EngineTestCase):

    FORMAT = "fp8"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # In whole blocks, but for heads that have half of one.
        cls.original = small_llama.make(cls.source, intermediate_size=256)

    def check(self, output):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        weights = self.floats(output)
        model = load(output)
        worst = self.worst(model, weights)
        return worst, self.similarity(
            small_llama.logits(model), weights, torch.bfloat16)

    def test_every_scheme(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(self.write(name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, 0.9999)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["one layer left out"])
        config = read_config(output)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, read_config(self.source))
        self.assertEqual(quantization["weight_block_size"], [128, 128])
        self.assertCountEqual(quantization["modules_to_not_convert"],
                              ["model.embed_tokens", "lm_head",
                               "model.layers.1.mlp.up_proj"])

    def test_what_is_wrong_is_told(self):
        output = self.write("wrong", *SCHEMES["blocks of 64"])
        weights = self.floats(output)
        self.assertEqual(self.worst(load(output), weights), 0)

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith("_scale_inv"):
                    tensors[name] = tensor.flip(0).contiguous()

        change_tensors(output, turn)
        self.assertGreater(self.worst(load(output), weights), 0.01)

    def test_a_layer_of_no_whole_blocks_is_left(self):
        source = os.path.join(self.folder, "odd")
        small_llama.make(source, intermediate_size=192)
        output = self.write("odd blocks", source=source)
        weights = self.floats(output)
        self.assertEqual(self.worst(load(output), weights), 0)
        self.assertIn(
            "model.layers.0.mlp.up_proj",
            read_config(output)["quantization_config"]["modules_to_not_convert"])

    def test_it_is_read_back(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                output = self.write("shards of " + name, *args,
                                    "--max-shard-size", "100K")
                plain = os.path.join(self.folder, "plain.safetensors")
                monoquant.quantize(self.source, plain, "--type", "fp8_e4m3",
                                   *(args or ["--granularity", "block"]),
                                   "--skip", "lm_head.weight")
                self.check_same_floats(plain, output)

    def test_the_example(self):
        output = self.write("example")
        text = self.run_example("load_fp8.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)


if __name__ == "__main__":
    unittest.main()
