"""monoquant reads what compressed-tensors wrote, as compressed-tensors does.

A model is quantized and saved by compressed-tensors itself. What `dequantize`
makes of each layer equals the weight that the library decompresses, bit for bit.
"""

import unittest

from tests.support import optional

optional.require_pypi()

import torch
import transformers
from compressed_tensors.compressors import ModelCompressor
from compressed_tensors.quantization import (QuantizationConfig,
                                             apply_quantization_config)
from compressed_tensors.quantization.utils import (calculate_qparams,
                                                   generate_gparam)

from tests.engines import small_llama
from tests.engines.engine_test_case import open_tensors
from tests.engines.foreign_test_case import ForeignTestCase
from tests.support import monoquant

INT4 = dict(num_bits=4, type="int", symmetric=True, strategy="group",
            group_size=32)
ROWS = dict(strategy="channel", group_size=None)
SCHEMES = {
    "int4 in groups": {"weights": INT4},
    "int4 in groups, asymmetric": {"weights": {**INT4, "symmetric": False}},
    "int4 per channel": {"weights": {**INT4, **ROWS}},
    "int4 per channel, asymmetric": {
        "weights": {**INT4, **ROWS, "symmetric": False}},
    "int8 in groups": {"weights": {**INT4, "num_bits": 8, "group_size": 64}},
    "int8 in groups, asymmetric": {
        "weights": {**INT4, "num_bits": 8, "symmetric": False}},
    "int8 per channel, packed": {"weights": {**INT4, **ROWS, "num_bits": 8}},
    "int8 per channel": "W8A8",
    "fp8 per channel": "FP8_DYNAMIC",
    "fp8 per tensor": {"weights": dict(num_bits=8, type="float",
                                       symmetric=True, strategy="tensor")},
    "mxfp4": "MXFP4A16",
    "mxfp8": "MXFP8A16",
    "nvfp4": "NVFP4A16",
}
# What some of them become, one after the other, without a change of a value.
CONVERSIONS = {
    "int4 in groups": ["gptq", "compressed-tensors", "awq", "safetensors"],
    "int4 in groups, asymmetric": ["safetensors", "awq"],
    "int4 per channel": ["awq", "gptq", "torch", "compressed-tensors"],
    "int8 in groups, asymmetric": ["safetensors"],
    "int8 per channel, packed": ["torchao", "compressed-tensors", "gptq"],
    "int8 per channel": ["torchao", "safetensors", "compressed-tensors"],
    "fp8 per channel": ["torchao", "compressed-tensors"],
    "fp8 per tensor": ["safetensors", "compressed-tensors"],
}
# What is not read, and a part of the error.
OTHERS = {
    "int3 in groups": ({"weights": {**INT4, "num_bits": 3}}, "3 bits"),
    "mxfp6": ("MXFP6A16", "floats of 6 bits"),
}


def extremes(weight, arguments):
    """The smallest and largest values of what shares a scale."""
    rows, columns = weight.shape
    if arguments.strategy == "tensor":
        low, high = torch.aminmax(weight)
        return low.reshape(1), high.reshape(1)
    if arguments.strategy == "channel":
        return weight.amin(-1, keepdim=True), weight.amax(-1, keepdim=True)
    if arguments.strategy == "block":
        height, width = arguments.block_structure
        padded = torch.nn.functional.pad(
            weight, (0, -columns % width, 0, -rows % height))
        blocks = padded.unflatten(0, (-1, height)).unflatten(2, (-1, width))
        return blocks.amin((1, 3)), blocks.amax((1, 3))
    groups = weight.reshape(rows, -1, arguments.group_size)
    return groups.amin(-1), groups.amax(-1)


def calibrate(module):
    """Sets the parameters of a layer by the range of its weight."""
    arguments = module.quantization_scheme.weights
    low, high = extremes(module.weight, arguments)
    shared = None
    if hasattr(module, "weight_global_scale"):
        shared = generate_gparam(module.weight.amin(), module.weight.amax())
        module.weight_global_scale.copy_(shared)
    scale, zero_point = calculate_qparams(low, high, arguments, shared)
    module.weight_scale.copy_(scale)
    if hasattr(module, "weight_zero_point"):
        module.weight_zero_point.copy_(zero_point)


def write(source, folder, scheme):
    """Quantizes a model as the library does, and saves it.

    Returns {name: weight} as the library decompresses it.
    """
    model = transformers.AutoModelForCausalLM.from_pretrained(
        source, dtype=torch.bfloat16)
    groups = {scheme: ["Linear"]} if isinstance(scheme, str) else {
        "group_0": {"targets": ["Linear"], **scheme}}
    apply_quantization_config(
        model, QuantizationConfig(config_groups=groups, ignore=["lm_head"]),
        show_progress=False)
    with torch.no_grad():
        for module in model.modules():
            if getattr(module, "quantization_scheme", None) is not None:
                calibrate(module)
    compressor = ModelCompressor.from_pretrained_model(model)
    compressor.compress_model(model)
    model.save_pretrained(folder)
    compressor.update_config(folder)
    small_llama.logits(model)  # decompresses it in memory
    return {name + ".weight": module.weight.detach().clone()
            for name, module in model.named_modules()
            if isinstance(module, torch.nn.Linear) and name != "lm_head"}


class ForeignCompressedTensorsTest(ForeignTestCase):

    def write(self, name, scheme, source=None):
        """(the directory, the weights as the library has them)"""
        folder = self.path(name)
        return folder, write(source or self.source, folder, scheme)

    def test_every_scheme(self):
        for name, scheme in SCHEMES.items():
            with self.subTest(scheme=name):
                folder, expected = self.write(name, scheme)
                weights = self.read(folder)
                self.check(weights, expected)
                # Nothing is listed but the tensors of the float model.
                self.assertEqual(weights.keys(),
                                 open_tensors(self.source)[1].keys())

    def test_conversions(self):
        for name, formats in CONVERSIONS.items():
            folder, expected = self.write("converted " + name, SCHEMES[name])
            for to in formats:
                with self.subTest(scheme=name, to=to):
                    output = "%s_to_%s" % (folder, to)
                    monoquant.run("convert", folder, "-o", output, "--to", to,
                                  "--force")
                    folder = output
                    self.check(self.read(folder), expected)
        # The last one loads as the library's own did.
        model = transformers.AutoModelForCausalLM.from_pretrained(
            folder, dtype=torch.bfloat16)
        small_llama.logits(model)  # decompresses it in memory
        for key, weight in expected.items():
            self.assertTrue(torch.equal(
                model.get_submodule(key[:-len(".weight")]).weight, weight), key)

    def test_blocks_are_read_as_floats(self):
        """They are products in float32, which the library rounds."""
        source = self.source + "_of_blocks"
        small_llama.make(source, intermediate_size=256)
        folder, expected = self.write("fp8 in blocks", "FP8_BLOCK", source)
        weights = self.read(folder, command="convert")
        for key, weight in expected.items():
            self.assertEqual(weights[key].dtype, torch.float32)
            self.assertTrue(torch.equal(weights[key].bfloat16(), weight), key)

    def test_what_is_not_read_is_told(self):
        for name, (scheme, message) in OTHERS.items():
            with self.subTest(scheme=name):
                folder, _ = self.write(name, scheme)
                with self.assertRaises(monoquant.Failed) as failed:
                    monoquant.run("inspect", folder)
                self.assertEqual(failed.exception.exit_code, 6)
                self.assertIn(message, failed.exception.message)
                monoquant.run("inspect", folder, "--as-stored")

    def test_it_is_quantized_anew(self):
        folder, expected = self.write("again", SCHEMES["int8 per channel"])
        output = folder + "_int4"
        monoquant.quantize(folder, output, "--to", "compressed-tensors",
                           "--bits", 4)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            output, dtype=torch.bfloat16)
        small_llama.logits(model)
        for key, weight in expected.items():
            found = model.get_submodule(key[:-len(".weight")]).weight
            error = (found.float() - weight.float()).abs().max()
            self.assertLess(error / weight.float().abs().max(), 0.1, key)


if __name__ == "__main__":
    unittest.main()
