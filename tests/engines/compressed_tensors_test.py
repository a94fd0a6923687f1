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
    EngineTestCase, change_config, change_tensors, load, open_tensors,
    read_config)
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
    "mxfp4": ["--type", "mxfp4"],
    "mxfp8": ["--type", "mxfp8"],
    "nvfp4": ["--type", "nvfp4"],
    "nvfp4 and fp8": ["--type", "nvfp4",
                      "--rule",
                      "*.mlp.down_proj.weight=fp8_e4m3,scale_dtype=bf16"],
    "one layer left out": ["--bits", 8, "--skip", "*.1.mlp.up_proj.weight"],
}


def least_cosine(args):
    """Activations too have 8 bits where the configuration says so, and those of
    FP8 three bits of mantissa."""
    return 0.99 if "fp8_e4m3" in " ".join(map(str, args)) else 0.999


def scales_of_engines(args):
    """Flags for the scales that a weight of BF16 gets, where these are open."""
    return [] if "--type" in args and args[1] in (
        "mxfp4", "mxfp8", "nvfp4") else ["--scale-dtype", "bf16"]


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
        def swap(tensors):
            for name, tensor in tensors.items():
                if name.endswith("_packed"):
                    b = tensor.view(torch.uint8)
                    tensors[name] = (b >> 4 | b << 4).view(tensor.dtype)

        for scheme in ("int4 in groups", "mxfp4", "nvfp4"):
            with self.subTest(scheme=scheme):
                output = self.write("swapped " + scheme, *SCHEMES[scheme])
                weights = self.floats(output)
                change_tensors(output, swap)
                model = load(output)
                small_llama.logits(model)
                self.assertGreater(self.worst(model, weights), 0.1)

    def test_fused_layers_share_a_global_scale(self):
        """448 * 6 by the largest magnitude of all that engines put together;
        they take one for the whole."""
        output = self.write("global", *SCHEMES["nvfp4"])
        _, tensors = open_tensors(output)
        _, original = open_tensors(self.source)
        sets = [["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
                ["mlp.gate_proj", "mlp.up_proj"], ["self_attn.o_proj"],
                ["mlp.down_proj"]]
        for layer in range(2):
            for names in sets:
                names = ["model.layers.%d.%s.weight" % (layer, name)
                         for name in names]
                most = [original[name].float().abs().max() for name in names]
                self.assertEqual(len(set(most)), len(most))
                for name in names:
                    self.assertEqual(
                        tensors[name + "_global_scale"].tolist(),
                        [(448 * 6 / max(most)).item()], name)

    def test_another_global_scale_is_told(self):
        output = self.write("changed global", *SCHEMES["nvfp4"])
        weights = self.floats(output)

        def double(tensors):
            for name in tensors:
                if name.endswith("_global_scale"):
                    tensors[name] = tensors[name] * 2

        change_tensors(output, double)
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
                monoquant.quantize(self.source, plain, *args,
                                   *scales_of_engines(args),
                                   "--skip", "lm_head.weight")
                self.check_same_floats(plain, output)


if __name__ == "__main__":
    unittest.main()
