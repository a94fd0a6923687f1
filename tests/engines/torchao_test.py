"""Transformers and torchao load what `--to torchao` wrote.

Each weight is of torchao's own class, and what that decodes to equals monoquant's
own dequantized weight, bit for bit. Files that describe another class, or other
rows, are told.
"""

import json
import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import safetensors
import safetensors.torch
import torch

from tests.engines import small_llama
from tests.engines.engine_test_case import (
    EngineTestCase, load, open_tensors, read_config)
from tests.support import monoquant

SCHEMES = {
    "int8": ["--bits", 8],
    "fp8": ["--type", "fp8_e4m3"],
    "one layer left out": ["--skip", "*.1.mlp.up_proj.weight"],
}
CLASSES = {"int8": "Int8Tensor", "fp8": "Float8Tensor"}


def change_metadata(folder, change):
    """Saves the file with what `change` makes of its text metadata."""
    path, tensors = open_tensors(folder)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    change(metadata)
    safetensors.torch.save_file(tensors, path, metadata)


class TorchaoTest(EngineTestCase):

    FORMAT = "torchao"

    def load(self, folder, dtype=torch.bfloat16):
        return load(folder, dtype, device_map="cpu")

    def effective(self, module):
        weight = module.weight.detach()
        return weight if type(weight) is torch.Tensor else weight.dequantize()

    def check(self, output, dtype=torch.bfloat16):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        weights = self.floats(output)
        model = self.load(output, dtype)
        worst = self.worst(model, weights)
        return worst, self.similarity(
            small_llama.logits(model), weights, dtype)

    def test_every_scheme(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(self.write(name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, 0.999)

    def test_classes(self):
        for name, expected in CLASSES.items():
            with self.subTest(scheme=name):
                model = self.load(self.write("class of " + name,
                                             *SCHEMES[name]))
                layer = model.model.layers[1].mlp
                self.assertEqual(type(layer.up_proj.weight).__name__, expected)
        output = self.write("left out", *SCHEMES["one layer left out"])
        layer = self.load(output).model.layers[1].mlp
        self.assertEqual(type(layer.down_proj.weight).__name__, "Int8Tensor")
        self.assertIs(type(layer.up_proj.weight), torch.nn.Parameter)

    def test_a_model_of_float32(self):
        source = os.path.join(self.folder, "float32")
        small_llama.make(source, torch.float32)
        output = self.write("float32_int8", source=source)
        weights = self.floats(output)
        model = self.load(output, torch.float32)
        self.assertEqual(self.worst(model, weights), 0)
        self.assertGreater(
            self.similarity(small_llama.logits(model), weights, torch.float32,
                            source), 0.9999)

    def test_the_configuration_is_that_of_what_was_done(self):
        output = self.write("config", *SCHEMES["fp8"])
        config = read_config(output)
        quantization = config.pop("quantization_config")
        self.assertEqual(config, read_config(self.source))
        self.assertEqual(quantization["quant_type"]["default"]["_type"],
                         "Float8WeightOnlyConfig")

    def test_it_is_one_file(self):
        """Transformers takes the list of tensors from one file's metadata."""
        with self.assertRaisesRegex(monoquant.Failed, "torchao"):
            self.write("shards", "--max-shard-size", "100K")
        sharded = os.path.join(self.folder, "sharded")
        monoquant.quantize(self.source, sharded, "--type", "bf16",
                           "--max-shard-size", "100K")
        output = self.write("from shards", source=sharded)
        with safetensors.safe_open(
                os.path.join(output, "model.safetensors"), "pt") as file:
            names = json.loads(file.metadata()["tensor_names"])
        self.assertCountEqual(names, set(self.original.state_dict()))
        worst, _ = self.check(output)
        self.assertEqual(worst, 0)

    def test_what_is_wrong_is_told(self):
        output = self.write("wrong")
        weights = self.floats(output)
        name = "model.layers.0.mlp.up_proj.weight"

        def is_told(change):
            change_metadata(output, change)
            try:
                worst = self.worst(self.load(output), weights)
            except Exception:  # also told
                return
            self.assertGreater(worst, 0.01)

        is_told(lambda metadata: metadata.pop(name))

    def test_it_is_read_back(self):
        for name, args in SCHEMES.items():
            with self.subTest(scheme=name):
                output = self.write("read " + name, *args)
                plain = os.path.join(self.folder, "plain.safetensors")
                monoquant.quantize(self.source, plain, *args, "--skip",
                                   "lm_head.weight")
                self.check_same_floats(plain, output)

    def test_the_example(self):
        output = self.write("example")
        text = self.run_example("load_torchao.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)


if __name__ == "__main__":
    unittest.main()
