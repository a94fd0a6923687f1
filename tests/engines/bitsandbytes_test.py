"""Transformers and bitsandbytes load what `--to bitsandbytes` wrote.

What the library decodes equals monoquant's own dequantized weight, bit for bit, and
codes and scales equal those that it makes of the same weights itself. Nibbles that
are swapped, and another table, are told.
"""

import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import bitsandbytes
import torch
import transformers

from tests.engines import small_llama
from tests.engines.engine_test_case import (
    EngineTestCase, change_config, change_tensors, load, open_tensors,
    read_config)
from tests.support import monoquant

SCHEMES = {
    "default": [],
    "fp4": ["--type", "fp4", "-g", 64],
    "one layer left out": ["--skip", "*.1.mlp.up_proj.weight"],
}


class BitsandbytesTest(EngineTestCase):

    FORMAT = "bitsandbytes"

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        # Of which every row has whole groups.
        cls.original = small_llama.make(cls.source, intermediate_size=256)

    def load(self, folder):
        return load(folder, device_map="cpu")

    def effective(self, module):
        weight = module.weight
        if not isinstance(weight, bitsandbytes.nn.Params4bit):
            return weight.detach()
        return bitsandbytes.functional.dequantize_4bit(
            weight.data, weight.quant_state)

    def check(self, output):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        weights = self.floats(output)
        model = self.load(output)
        worst = self.worst(model, weights)
        return worst, self.similarity(
            small_llama.logits(model), weights, torch.bfloat16)

    def test_every_scheme(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(self.write(name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, 0.999)

    def test_codes_and_scales_are_its_own(self):
        """Those of a model that the library quantized and saved."""
        for kind, args in (("nf4", SCHEMES["default"]),
                           ("fp4", SCHEMES["fp4"])):
            with self.subTest(type=kind):
                theirs = os.path.join(self.folder, "their " + kind)
                load(self.source, device_map="cpu",
                     quantization_config=transformers.BitsAndBytesConfig(
                         load_in_4bit=True, bnb_4bit_quant_type=kind,
                         bnb_4bit_compute_dtype=torch.bfloat16,
                     )).save_pretrained(theirs)
                _, expected = open_tensors(theirs)
                _, found = open_tensors(self.write("own " + kind, *args))
                self.assertEqual(found.keys(), expected.keys())
                for name, tensor in expected.items():
                    if "quant_state" in name:
                        continue  # the same JSON, with other spaces
                    self.assertTrue(torch.equal(found[name], tensor), name)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["one layer left out"])
        config = read_config(output)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, read_config(self.source))
        self.assertEqual(quantization["bnb_4bit_quant_type"], "nf4")
        self.assertEqual(quantization["llm_int8_skip_modules"],
                         ["model.embed_tokens", "lm_head",
                          "model.layers.1.mlp.up_proj"])

    def test_what_is_wrong_is_told(self):
        output = self.write("wrong")
        weights = self.floats(output)
        self.assertEqual(self.worst(self.load(output), weights), 0)

        def swap(tensors):
            for name, tensor in tensors.items():
                if tensor.dtype == torch.uint8 and name.endswith(".weight"):
                    tensors[name] = tensor >> 4 | tensor << 4

        change_tensors(output, swap)
        self.assertGreater(self.worst(self.load(output), weights), 0.1)
        change_tensors(output, swap)

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith("quant_map"):
                    tensors[name] = -tensor

        change_tensors(output, turn)
        self.assertGreater(self.worst(self.load(output), weights), 0.1)

    def test_a_layer_that_is_not_named_is_told(self):
        output = self.write("forgotten", *SCHEMES["one layer left out"])
        change_config(output, lambda config: config.update(
            llm_int8_skip_modules=["lm_head"]))
        with self.assertRaises(Exception):
            small_llama.logits(self.load(output))

    def test_it_is_read_back(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                output = self.write("shards of " + name, *args,
                                    "--max-shard-size", "100K")
                plain = os.path.join(self.folder, "plain.safetensors")
                monoquant.quantize(
                    self.source, plain,
                    *(args if "--type" in args else
                      ["--type", "nf4", "-g", 64, *args]),
                    "--skip", "lm_head.weight")
                mine, theirs = self.floats(plain), self.floats(output)
                self.assertEqual(mine.keys(), theirs.keys())
                for key in mine:
                    self.assertTrue(torch.equal(mine[key], theirs[key]), key)

    def test_the_example(self):
        output = self.write("example")
        text = self.run_example("load_bitsandbytes.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)


if __name__ == "__main__":
    unittest.main()
