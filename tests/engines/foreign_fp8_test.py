"""monoquant reads FP8 directories in DeepSeek's layout as the floats that
Transformers makes of them, bit for bit.

Transformers quantizes whole models with a GPU only; what it does to each weight
runs without one, and so does loading, which decodes them.
"""

import json
import os
import shutil
import types
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import safetensors.torch
import torch
import transformers
from transformers.integrations import finegrained_fp8

from tests.engines.engine_test_case import (
    change_tensors, load, open_tensors, read_config)
from tests.engines.foreign_test_case import ForeignTestCase

# Layers whose sizes are no multiples of the blocks stay as they are.
OPTIONS = {
    "blocks of 128": {},
    "blocks of 64": {"weight_block_size": [64, 64]},
    "one block a weight": {"weight_block_size": None},
    "scales that are powers of two": {"scale_fmt": "ue8m0"},
}


def write(source, folder, **options):
    """What Transformers does to the weights of all layers but the last."""
    config = transformers.FineGrainedFP8Config(
        modules_to_not_convert=["lm_head"], **options)
    quantize = finegrained_fp8.Fp8Quantize(
        types.SimpleNamespace(quantization_config=config))
    shutil.copytree(source, folder)
    path, tensors = open_tensors(source)
    quantized = {}
    for name, tensor in tensors.items():
        quantized.update(quantize.convert({name: tensor})
                         if name.endswith("_proj.weight") else {name: tensor})
    safetensors.torch.save_file(
        quantized, os.path.join(folder, os.path.basename(path)),
        {"format": "pt"})
    contents = {**read_config(source),
                "quantization_config": config.to_dict()}
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump(contents, file)
    return sum(name.endswith("_scale_inv") for name in quantized)


class ForeignFp8Test(ForeignTestCase):

    LLAMA = {"intermediate_size": 256}

    def write(self, name, **options):
        folder = self.path(name)
        self.assertGreater(write(self.source, folder, **options), 8)
        return folder

    def read(self, folder):
        return super().read(folder, command="convert")

    def differing(self, folder, dtype):
        """The weights that Transformers decodes to something else."""
        loaded = load(folder, dtype, device_map="cpu").state_dict()
        weights = self.read(folder)
        self.assertEqual(loaded.keys(), weights.keys())
        return [name for name, weight in weights.items()
                if not torch.equal(weight.to(dtype), loaded[name])]

    def test_every_layout(self):
        for name, options in OPTIONS.items():
            with self.subTest(layout=name):
                folder = self.write(name, **options)
                # The products are float32, and rounded once to the model's type.
                for dtype in (torch.float32, torch.bfloat16):
                    self.assertEqual(self.differing(folder, dtype), [])

    def test_scales_in_another_order_are_told(self):
        folder = self.write("wrong", weight_block_size=[64, 64])
        before = self.read(folder)

        def turn(tensors):
            for name, tensor in tensors.items():
                if name.endswith("_scale_inv"):
                    tensors[name] = tensor.flip(0).contiguous()

        change_tensors(folder, turn)
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertFalse(torch.equal(self.read(folder)[name], before[name]))
        self.assertEqual(self.differing(folder, torch.float32), [])


if __name__ == "__main__":
    unittest.main()
