"""Transformers and bitsandbytes load what `--to bitsandbytes` wrote.

What the library decodes equals monoquant's own dequantized weight, bit for bit, and
codes and scales, and the tables beside them, equal those that it makes of the same
weights itself; scales that are quantized, those that it makes for the same offset.
Nibbles that are swapped and other scales are told.
"""

import json
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
    "double quant": ["--double-quant"],
    "fp4 double quant": ["--type", "fp4", "-g", 64, "--double-quant"],
    "one layer left out": ["--skip", "*.1.mlp.up_proj.weight"],
    "llm_int8": ["--type", "llm_int8"],
    "llm_int8 but for one layer": ["--type", "llm_int8", "--skip",
                                   "*.1.mlp.up_proj.weight"],
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
        if isinstance(weight, bitsandbytes.nn.Params4bit):
            return bitsandbytes.functional.dequantize_4bit(
                weight.data, weight.quant_state)
        if isinstance(weight, bitsandbytes.nn.Int8Params):
            # Of float32, whatever the type of the model.
            return bitsandbytes.functional.int8_vectorwise_dequant(
                weight.data, weight.SCB).to(torch.bfloat16)
        return weight.detach()

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
                # With 8 bits activations are quantized as well.
                self.assertGreater(
                    similar, 0.99 if "llm_int8" in args else 0.999)

    def test_codes_and_scales_are_its_own(self):
        """Those of a model that the library quantized and saved."""
        for kind, options in (
                ("default", dict(load_in_4bit=True, bnb_4bit_quant_type="nf4")),
                ("fp4", dict(load_in_4bit=True, bnb_4bit_quant_type="fp4")),
                ("llm_int8", dict(load_in_8bit=True))):
            with self.subTest(type=kind):
                args = SCHEMES[kind]
                theirs = os.path.join(self.folder, "their " + kind)
                load(self.source, device_map="cpu",
                     quantization_config=transformers.BitsAndBytesConfig(
                         bnb_4bit_compute_dtype=torch.bfloat16, **options,
                     )).save_pretrained(theirs)
                _, expected = open_tensors(theirs)
                _, found = open_tensors(self.write("own " + kind, *args))
                self.assertEqual(found.keys(), expected.keys())
                for name, tensor in expected.items():
                    if "quant_state" in name:
                        continue  # the same JSON, with other spaces
                    self.assertTrue(torch.equal(found[name], tensor), name)

    def test_quantized_scales_are_its_own(self):
        """Those that the library makes of the same scales, with the same
        offset; its own is a mean in float32."""
        for quant_type, plain, nested in (
                ("nf4", "default", "double quant"),
                ("fp4", "fp4", "fp4 double quant")):
            with self.subTest(type=quant_type):
                self.check_quantized_scales(quant_type, plain, nested)

    def check_quantized_scales(self, quant_type, plain, nested):
        theirs = os.path.join(self.folder, "their " + nested)
        load(self.source, device_map="cpu",
             quantization_config=transformers.BitsAndBytesConfig(
                 load_in_4bit=True, bnb_4bit_quant_type=quant_type,
                 bnb_4bit_use_double_quant=True,
                 bnb_4bit_compute_dtype=torch.bfloat16,
             )).save_pretrained(theirs)
        _, expected = open_tensors(theirs)
        _, scales = open_tensors(self.write("plain " + plain, *SCHEMES[plain]))
        _, found = open_tensors(self.write("own " + nested, *SCHEMES[nested]))
        self.assertEqual(found.keys(), expected.keys())
        checked = 0
        for name, tensor in expected.items():
            if "absmax" in name:
                continue
            if "quant_state" not in name:
                self.assertTrue(torch.equal(found[name], tensor), name)
                continue
            ours, state = (json.loads(bytes(each.tolist()))
                           for each in (found[name], tensor))
            offset = ours.pop("nested_offset")
            self.assertAlmostEqual(offset / state.pop("nested_offset"), 1, 6)
            self.assertEqual(ours, state)
            weight = name.partition(".quant_state")[0]
            codes, of_codes = bitsandbytes.functional.quantize_blockwise(
                scales[weight + ".absmax"] - torch.tensor(offset),
                blocksize=256)
            self.assertTrue(torch.equal(found[weight + ".absmax"], codes), name)
            self.assertTrue(torch.equal(found[weight + ".nested_absmax"],
                                        of_codes.absmax), name)
            checked += 1
        self.assertGreater(checked, 10)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["one layer left out"])
        config = read_config(output)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, read_config(self.source))
        self.assertEqual(quantization["bnb_4bit_quant_type"], "nf4")
        self.assertFalse(quantization["bnb_4bit_use_double_quant"])
        self.assertEqual(quantization["llm_int8_skip_modules"],
                         ["lm_head", "model.embed_tokens",
                          "model.layers.1.mlp.up_proj"])

    def test_the_configuration_of_quantized_scales(self):
        output = self.write("config double", *SCHEMES["double quant"])
        quantization = read_config(output)["quantization_config"]
        config = transformers.BitsAndBytesConfig.from_dict(quantization)
        self.assertEqual(config.quantization_method(), "nf4")
        self.assertTrue(config.bnb_4bit_use_double_quant)

    def test_quantized_scales_do_not_mix_with_others(self):
        with self.assertRaises(monoquant.Failed) as failed:
            self.write("mixed scales", "--rule",
                       "*.mlp.up_proj.weight=nf4,double_quant")
        self.assertEqual(failed.exception.exit_code, 3)
        self.assertIn("bitsandbytes has one scheme for the whole model",
                      failed.exception.message)

    def test_the_configuration_of_eight_bits(self):
        output = self.write("config 8", *SCHEMES["llm_int8 but for one layer"])
        quantization = read_config(output)["quantization_config"]
        self.assertTrue(quantization["load_in_8bit"])
        self.assertFalse(quantization["load_in_4bit"])
        self.assertEqual(quantization["llm_int8_skip_modules"],
                         ["lm_head", "model.embed_tokens",
                          "model.layers.1.mlp.up_proj"])
        config = transformers.BitsAndBytesConfig.from_dict(quantization)
        self.assertEqual(config.quantization_method(), "llm_int8")
        self.assertEqual(config.llm_int8_threshold, 6.0)

    def test_four_and_eight_bits_do_not_mix(self):
        with self.assertRaises(monoquant.Failed) as failed:
            self.write("mixed", "--rule", "*.mlp.up_proj.weight=llm_int8")
        self.assertEqual(failed.exception.exit_code, 3)
        self.assertIn("bitsandbytes has one scheme for the whole model",
                      failed.exception.message)

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
                if name.endswith(".absmax"):
                    tensors[name] = tensor.flip(0).contiguous()

        # (Of quant_map it takes no notice on a processor.)
        change_tensors(output, turn)
        self.assertGreater(self.worst(self.load(output), weights), 0.1)

    def test_scales_that_are_wrong_are_told(self):
        output = self.write("wrong 8", *SCHEMES["llm_int8"])
        weights = self.floats(output)
        self.assertEqual(self.worst(self.load(output), weights), 0)

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith(".SCB"):
                    tensors[name] = tensor.flip(0).contiguous()

        change_tensors(output, turn)
        self.assertGreater(self.worst(self.load(output), weights), 0.1)

    def test_quantized_scales_that_are_wrong_are_told(self):
        output = self.write("wrong double", *SCHEMES["double quant"])
        weights = self.floats(output)
        self.assertEqual(self.worst(self.load(output), weights), 0)

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith("nested_quant_map"):
                    tensors[name] = -tensor

        change_tensors(output, turn)
        self.assertGreater(self.worst(self.load(output), weights), 0.01)

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
                if "--double-quant" in args:
                    # What no other storage has.
                    plain = self.write("whole " + name, *args)
                else:
                    monoquant.quantize(
                        self.source, plain,
                        *(args if "--type" in args else
                          ["--type", "nf4", "-g", 64, *args]),
                        "--skip", "lm_head.weight")
                self.check_same_floats(plain, output)

    def test_the_example(self):
        output = self.write("example")
        text = self.run_example("load_bitsandbytes.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)


if __name__ == "__main__":
    unittest.main()
