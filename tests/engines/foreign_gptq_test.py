"""monoquant reads what GPTQModel wrote, in the layouts of GPTQ and AWQ.

Models are quantized and saved by GPTQModel itself, one of them with columns in
the order of their importance ("act order"). What `dequantize` makes of each layer
equals the weight that GPTQModel computes from the file it wrote, bit for bit.
"""

import contextlib
import io
import json
import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import gptqmodel
import safetensors.torch
import torch
from gptqmodel import GPTQConfig, RTNConfig
from gptqmodel.quantization import FORMAT
from gptqmodel.quantization.awq.utils.packing_utils import dequantize_gemm

from tests.engines.engine_test_case import open_tensors
from tests.engines.foreign_test_case import ForeignTestCase
from tests.support import monoquant

# Rounded to nearest.
SCHEMES = {
    "4 bits, symmetric": dict(bits=4, group_size=32),
    "4 bits, asymmetric": dict(bits=4, group_size=32, sym=False),
    "8 bits, symmetric": dict(bits=8, group_size=32),
    "8 bits, asymmetric": dict(bits=8, group_size=64, sym=False),
    "4 bits, a group a row": dict(bits=4, group_size=-1),
    "one layer left out": dict(
        bits=4, group_size=32,
        dynamic={r"-:model\.layers\.1\.mlp\.up_proj$": {}}),
    "4 and 8 bits": dict(bits=4, group_size=32,
                         dynamic={r"+:.*down_proj$": {"bits": 8}}),
    "version 2": dict(bits=4, group_size=32, sym=False,
                      format=FORMAT.GPTQ_V2),
}
AWQ = {
    "awq, asymmetric": dict(bits=4, group_size=32, sym=False),
    "awq, symmetric": dict(bits=4, group_size=32, sym=True),
}


def write(source, folder, config, calibration=None):
    model = gptqmodel.GPTQModel.load(source, config, device="cpu",
                                     dtype=torch.float16)
    if calibration is None:
        model.quantize(calibration=None, backend=gptqmodel.BACKEND.AUTO)
    else:
        model.quantize(calibration, batch_size=1,
                       backend=gptqmodel.BACKEND.GPTQ_TORCH)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its config
        model.save(folder)


def calibration():
    """Texts, already as tokens."""
    torch.manual_seed(2)
    texts = torch.randint(0, 125, (64, 48)).tolist()
    return [{"input_ids": text, "attention_mask": [1] * len(text)}
            for text in texts]


def positive(source):
    """Makes all weights of one layer positive: their zero points are 0, which
    version 1 stores less 1."""
    path = os.path.join(source, "model.safetensors")
    tensors = safetensors.torch.load_file(path)
    name = "model.layers.0.mlp.up_proj.weight"
    tensors[name] = tensors[name].abs()
    safetensors.torch.save_file(tensors, path, {"format": "pt"})


def as_loaded(folder, dtype=torch.float16):
    """{name: weight} as GPTQModel's own loader has them."""
    model = gptqmodel.GPTQModel.load(
        folder, device="cpu", backend=gptqmodel.BACKEND.GPTQ_TORCH,
        dtype=torch.float16).model
    weights = {}
    for name, module in model.named_modules():
        if hasattr(module, "dequantize_weight"):
            weights[name + ".weight"] = module.dequantize_weight().T
        elif isinstance(module, torch.nn.Linear):
            weights[name + ".weight"] = module.weight
    return {name: weight.detach().to(dtype)
            for name, weight in weights.items()}


class ForeignGptqTest(ForeignTestCase):

    LLAMA = {"dtype": torch.float16}
    as_loaded = staticmethod(as_loaded)

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        positive(cls.source)

    def write(self, name, config, calibration=None):
        folder = self.path(name)
        write(self.source, folder, config, calibration)
        return folder

    def read(self, folder):
        return super().read(folder, "--dtype", "f16")

    def stored(self, folder):
        return open_tensors(folder)[1]

    def test_every_scheme(self):
        for name, options in SCHEMES.items():
            with self.subTest(scheme=name):
                folder = self.write(
                    name, RTNConfig(offload_to_disk=False, **options))
                self.check(self.read(folder), self.as_loaded(folder))

    def test_zero_points_of_zero(self):
        folder = self.write("zeros", RTNConfig(
            offload_to_disk=False, **SCHEMES["4 bits, asymmetric"]))
        words = self.stored(folder)["model.layers.0.mlp.up_proj.qzeros"]
        # Eight zeros, from which 1 was taken as from one number.
        self.assertIn(0xEEEEEEEF - 2**32, words.flatten().tolist())
        self.check(self.read(folder), self.as_loaded(folder))

    def test_act_order(self):
        folder = self.write("act order", GPTQConfig(
            bits=4, group_size=32, desc_act=True, offload_to_disk=False),
            calibration())
        groups = self.stored(folder)["model.layers.0.mlp.up_proj.g_idx"]
        self.assertNotEqual(groups.tolist(), sorted(groups.tolist()))
        self.check(self.read(folder), self.as_loaded(folder))

    def test_awq(self):
        for name, options in AWQ.items():
            with self.subTest(scheme=name):
                folder = self.write(name, RTNConfig(
                    offload_to_disk=False, format=FORMAT.GEMM, **options))
                expected = {
                    key[:-len("qweight")] + "weight": dequantize_gemm(
                        words, *(tensors[key[:-len("qweight")] + part]
                                 for part in ("qzeros", "scales")), 4, 32).T
                    for tensors in [self.stored(folder)]
                    for key, words in tensors.items()
                    if key.endswith(".qweight")}
                self.check(self.read(folder), expected)
                # As Transformers calls it.
                path = os.path.join(folder, "config.json")
                with open(path) as file:
                    config = json.load(file)
                config["quantization_config"] = {
                    "quant_method": "awq", "bits": 4, "group_size": 32,
                    "zero_point": not options["sym"], "version": "gemm"}
                with open(path, "w") as file:
                    json.dump(config, file)
                self.check(self.read(folder), expected)

    def convert(self, folder, to):
        output = "%s_to_%s" % (folder, to)
        monoquant.run("convert", folder, "-o", output, "--force", "--to", to)
        return output

    def refused(self, folder, to):
        """The message with which a conversion fails."""
        with self.assertRaises(monoquant.Failed) as failed:
            self.convert(folder, to)
        self.assertEqual(failed.exception.exit_code, 3)
        return failed.exception.message

    def check_conversions(self, folder, formats):
        """Goes from format to format: no value changes."""
        expected = self.read(folder)
        for to in formats:
            with self.subTest(source=folder, to=to):
                folder = self.convert(folder, to)
                found = self.read(folder)
                self.assertEqual(found.keys(), expected.keys())
                self.check(found, expected)
        return folder

    def test_conversions(self):
        folder = self.write("converted", RTNConfig(
            offload_to_disk=False, **SCHEMES["4 bits, symmetric"]))
        last = self.check_conversions(folder, [
            "compressed-tensors", "awq", "safetensors", "gptq", "torch",
            "compressed-tensors", "gptq"])
        # As the program that wrote them has them.
        self.check(self.as_loaded(last), self.as_loaded(folder))
        for name in ("qweight", "scales"):
            key = "model.layers.1.mlp.down_proj." + name
            self.assertTrue(torch.equal(self.stored(last)[key],
                                        self.stored(folder)[key]), name)
        folder = self.write("8 bits converted", RTNConfig(
            offload_to_disk=False, **SCHEMES["8 bits, symmetric"]))
        self.check_conversions(folder, ["compressed-tensors", "gptq"])
        # Asymmetric, with zero points of 0 in one layer.
        folder = self.write("asymmetric converted", RTNConfig(
            offload_to_disk=False, **SCHEMES["4 bits, asymmetric"]))
        awq = self.check_conversions(folder, ["awq", "safetensors", "awq"])
        expected = self.as_loaded(folder)
        tensors = self.stored(awq)
        for key, words in tensors.items():
            if not key.endswith(".qweight"):
                continue
            base = key[:-len("qweight")]
            self.assertTrue(torch.equal(
                dequantize_gemm(words, tensors[base + "qzeros"],
                                tensors[base + "scales"], 4, 32).T,
                expected[base + "weight"]), key)
        self.assertIn("asymmetric", self.refused(folder, "compressed-tensors"))
        message = self.refused(awq, "gptq")
        self.assertIn("model.layers.0.mlp.up_proj.weight", message)
        self.assertIn("from 1 to 15", message)

    def test_act_order_is_not_converted(self):
        folder = self.write("act order converted", GPTQConfig(
            bits=4, group_size=32, desc_act=True, offload_to_disk=False),
            calibration())
        for to in ("safetensors", "awq"):
            message = self.refused(folder, to)
            self.assertIn("act order", message)
            self.assertIn("not lossless", message)

    def test_three_bits_are_not_read(self):
        folder = self.write("3 bits", RTNConfig(bits=3, group_size=32,
                                                offload_to_disk=False))
        with self.assertRaises(monoquant.Failed) as failed:
            monoquant.run("inspect", folder)
        self.assertEqual(failed.exception.exit_code, 6)
        self.assertIn("codes of 3 bits", failed.exception.message)


if __name__ == "__main__":
    unittest.main()
