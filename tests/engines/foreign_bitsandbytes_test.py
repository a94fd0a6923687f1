"""monoquant reads what bitsandbytes wrote, through Transformers and by itself.

What `dequantize` makes of each layer equals the weight that bitsandbytes computes
from the file that it wrote, bit for bit, in the model's type and in float32.
"""

import json
import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import bitsandbytes
import safetensors.torch
import torch
import transformers

from tests.engines import small_llama
from tests.engines.engine_test_case import change_tensors, load, open_tensors
from tests.engines.foreign_test_case import ForeignTestCase
from tests.support import monoquant

SCHEMES = {
    "nf4": dict(bnb_4bit_quant_type="nf4"),
    "fp4": dict(bnb_4bit_quant_type="fp4"),
    "nf4 nested": dict(bnb_4bit_quant_type="nf4",
                       bnb_4bit_use_double_quant=True),
    "fp4 nested": dict(bnb_4bit_quant_type="fp4",
                       bnb_4bit_use_double_quant=True),
    "8 bits": dict(load_in_4bit=False, load_in_8bit=True),
    "8 bits but for one layer": dict(
        load_in_4bit=False, load_in_8bit=True,
        llm_int8_skip_modules=["lm_head", "model.layers.1.mlp.up_proj"]),
    "one layer left out": dict(
        bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        llm_int8_skip_modules=["lm_head", "model.layers.1.mlp.up_proj"]),
}


def write(source, folder, **options):
    load(source, device_map="cpu",
         quantization_config=transformers.BitsAndBytesConfig(
             **options)).save_pretrained(folder)


def as_loaded(folder, dtype):
    """{name: weight} of the layers that Transformers loads, as bitsandbytes
    decodes them, and of the others."""
    weights = {}
    for name, module in load(folder, device_map="cpu").named_modules():
        weight = getattr(module, "weight", None)
        if isinstance(weight, bitsandbytes.nn.Params4bit):
            weight.quant_state.dtype = dtype
            weights[name + ".weight"] = (
                bitsandbytes.functional.dequantize_4bit(
                    weight.data, weight.quant_state))
        elif isinstance(weight, bitsandbytes.nn.Int8Params):
            weights[name + ".weight"] = (
                bitsandbytes.functional.int8_vectorwise_dequant(
                    weight.data, weight.SCB).to(dtype))
        elif isinstance(module, torch.nn.Linear):
            weights[name + ".weight"] = weight.detach()
    return weights


class ForeignBitsandbytesTest(ForeignTestCase):

    # Of which every row has whole blocks, and some weights more than 256.
    LLAMA = {"intermediate_size": 256}
    as_loaded = staticmethod(as_loaded)

    def write(self, name, source=None, **options):
        folder = self.path(name)
        write(source or self.source, folder, **{"load_in_4bit": True,
                                                **options})
        return folder

    def refused(self, folder):
        """The message of an error about a file that is not read."""
        with self.assertRaises(monoquant.Failed) as failed:
            monoquant.run("inspect", folder)
        self.assertEqual(failed.exception.exit_code, 6)
        return failed.exception.message

    def test_every_scheme(self):
        for name, options in SCHEMES.items():
            with self.subTest(scheme=name):
                folder = self.write(name, **options)
                self.check_folder(folder)
                names = set(self.read(folder))
                self.assertEqual(
                    names, set(open_tensors(self.source)[1]))

    def test_nested_scales_make_a_difference(self):
        """Or the tests above would show little."""
        plain = self.read(self.write("plain", **SCHEMES["nf4"]))
        nested = self.read(self.write("nested", **SCHEMES["nf4 nested"]))
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertFalse(torch.equal(plain[name], nested[name]))

    def test_blocks_of_other_sizes(self):
        """A state dict, which Transformers has no part in."""
        torch.manual_seed(5)
        for block in (64, 128, 512, 4096):
            for nested in (False, True):
                for kind in ("nf4", "fp4"):
                    with self.subTest(block=block, nested=nested, type=kind):
                        self.check_state_dict(block, nested, kind)

    def check_state_dict(self, block, nested, kind):
        layer = bitsandbytes.nn.Linear4bit(4096, 24, bias=True,
                                           quant_type=kind)
        layer.weight = bitsandbytes.nn.Params4bit(
            torch.randn(24, 4096) * torch.rand(24, 1), requires_grad=False,
            blocksize=block, compress_statistics=nested, quant_type=kind)
        layer = layer.to("cpu")
        folder = self.path("state dict")
        os.makedirs(folder, exist_ok=True)
        safetensors.torch.save_file(
            {"fc." + name: tensor.contiguous()
             for name, tensor in layer.state_dict().items()},
            os.path.join(folder, "model.safetensors"))
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump({"quantization_config": {
                "quant_method": "bitsandbytes", "load_in_4bit": True}}, file)
        expected = bitsandbytes.functional.dequantize_4bit(
            layer.weight.data, layer.weight.quant_state)
        self.check(self.read(folder), {"fc.weight": expected,
                                       "fc.bias": layer.bias.detach()})

    def test_files_without_an_order_of_rows(self):
        """As older versions wrote them."""
        folder = self.write("no order", **SCHEMES["8 bits"])

        def drop(tensors):
            for name in [n for n in tensors if n.endswith("weight_format")]:
                del tensors[name]

        change_tensors(folder, drop)
        self.check_folder(folder)

    def test_another_order_of_rows_is_not_read(self):
        folder = self.write("order", **SCHEMES["8 bits"])

        def change(tensors):
            for name, tensor in tensors.items():
                if name.endswith("weight_format"):
                    tensors[name] = tensor + 1

        change_tensors(folder, change)
        self.assertIn("has codes that are not row by row",
                      self.refused(folder))

    def test_it_is_kept(self):
        """What `convert` writes, Transformers loads like the original."""
        for name in ("nf4 nested", "8 bits"):
            with self.subTest(scheme=name):
                folder = self.write("kept " + name, **SCHEMES[name])
                output = self.path("converted " + name)
                monoquant.run("convert", "-m", folder, "-o", output)
                self.check(as_loaded(output, torch.float32),
                           as_loaded(folder, torch.float32))
                self.check(self.read(output),
                           as_loaded(folder, torch.bfloat16))

    def test_nested_scales_become_plain(self):
        """Without a change of a number, as Transformers loads them."""
        for name in ("nf4 nested", "fp4 nested"):
            with self.subTest(scheme=name):
                folder = self.write("nested " + name, **SCHEMES[name])
                output = self.path("plain " + name)
                monoquant.run("convert", "-m", folder, "-o", output, "--to",
                              "bitsandbytes")
                names = open_tensors(output)[1]
                self.assertFalse([n for n in names if "nested" in n])
                self.check(as_loaded(output, torch.float32),
                           as_loaded(folder, torch.float32))

    def test_it_is_quantized_anew(self):
        folder = self.write("anew", **SCHEMES["fp4 nested"])
        output = self.path("int8.safetensors")
        monoquant.quantize(folder, output, "--type", "int8")
        floats = self.path("anew.safetensors")
        safetensors.torch.save_file(self.read(folder), floats)
        expected = self.path("expected.safetensors")
        monoquant.quantize(floats, expected, "--type", "int8")
        self.check(safetensors.torch.load_file(output),
                   safetensors.torch.load_file(expected))

    def test_swapped_nibbles_are_told(self):
        folder = self.write("swapped", **SCHEMES["nf4"])
        expected = as_loaded(folder, torch.bfloat16)

        def swap(tensors):
            for name, tensor in tensors.items():
                if tensor.dtype == torch.uint8 and name.endswith(".weight"):
                    tensors[name] = tensor >> 4 | tensor << 4

        change_tensors(folder, swap)
        weights = self.read(folder)
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertFalse(torch.equal(weights[name], expected[name]))

    def test_another_table_is_not_read(self):
        folder = self.write("table", **SCHEMES["nf4"])

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith("quant_map"):
                    tensors[name] = -tensor

        change_tensors(folder, turn)
        self.assertIn("that are not those of nf4", self.refused(folder))

    def test_blocks_over_the_ends_of_rows_are_not_read(self):
        source = self.path("narrow")
        small_llama.make(source, hidden_size=96)
        folder = self.write("rows", source=source, **SCHEMES["nf4"])
        self.assertIn("has blocks of 64 that go over the ends of its rows of "
                      "96", self.refused(folder))

    def test_codes_of_another_type_are_not_read(self):
        folder = self.write("type", bnb_4bit_quant_storage=torch.bfloat16)
        self.assertIn("has codes in elements of BF16 (bnb_4bit_quant_storage)",
                      self.refused(folder))


if __name__ == "__main__":
    unittest.main()
