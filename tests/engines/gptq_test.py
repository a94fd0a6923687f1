"""Transformers and gptqmodel load what `--to gptq` and `--to awq` wrote.

Each layer's effective weight equals monoquant's own dequantized weight, bit for
bit, and the outputs of the model are those of the same model with the dequantized
weights. Words in another order, zero points of another version, and a
configuration that forgets a layer are told from that.
"""

import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import torch
import transformers

from tests.engines import small_llama
from tests.engines.engine_test_case import (
    EngineTestCase, change_config, change_tensors, load, read_config)
from tests.support import monoquant

SCHEMES = {
    "4 bits in groups": ["--bits", 4, "-g", 32],
    "4 bits per channel": ["--bits", 4, "--granularity", "axis"],
    "asymmetric": ["--bits", 4, "-g", 64, "-s", "asymmetric"],
    "one layer left out": ["--bits", 4, "-g", 32, "--skip",
                           "*.1.mlp.up_proj.weight"],
}


class Words(EngineTestCase):
    """Of both formats: floats are those of F16 whatever the model's type, since
    scales are."""

    def options(self):
        """Those with which layers are made of plain torch."""
        raise NotImplementedError

    def load(self, folder, dtype):
        return load(folder, dtype, **self.options())

    def check(self, output, dtype=torch.float16):
        """(worst weight, cosine of the outputs) of what is in `output`."""
        weights = self.floats(output, "--dtype", "f16")
        model = self.load(output, dtype)
        worst = self.worst(model, weights)
        return worst, self.similarity(
            small_llama.logits(model), weights, dtype)

    def check_schemes(self, schemes):
        for name, args in schemes.items():
            with self.subTest(scheme=name):
                worst, similar = self.check(
                    self.write(self.FORMAT + " " + name, *args))
                self.assertEqual(worst, 0)
                self.assertGreater(similar, 0.9999)

    def check_it_is_told(self, output):
        """To be called with a change that was made to a good output."""
        worst, _ = self.check(output)
        self.assertEqual(worst, 0)

        def is_told(change, *args):
            weights = self.floats(output, "--dtype", "f16")
            change(*args)
            try:
                worst = self.worst(self.load(output, torch.float16), weights)
            except Exception:  # also told
                return
            self.assertGreater(worst, 0.01)

        return is_told

    def check_reading(self, schemes):
        """The same floats as from monoquant's own storage; shards too."""
        for name, args in schemes.items():
            with self.subTest(scheme=name):
                output = self.write("shards of " + name, *args,
                                    "--max-shard-size", "100K")
                plain = os.path.join(self.folder, "plain.safetensors")
                monoquant.quantize(self.source, plain, *args, "--scale-dtype",
                                   "f16", "--skip", "lm_head.weight")
                self.check_same_floats(plain, output)


class GptqTest(Words):

    FORMAT = "gptq"

    def options(self):
        # Of this, loading takes the backend alone.
        return {"quantization_config": transformers.GPTQConfig(
            bits=4, backend="gptq_torch")}

    def effective(self, module):
        if isinstance(module, torch.nn.Linear):
            return module.weight.detach()
        return module.dequantize_weight().T

    def test_every_scheme(self):
        self.check_schemes({
            **SCHEMES,
            "8 bits in groups": ["--bits", 8, "-g", 32],
            "8 bits, unsigned": ["--type", "uint8", "-s", "asymmetric"],
        })

    def test_types_of_models(self):
        output = self.write("types", *SCHEMES["4 bits in groups"])
        for dtype in (torch.bfloat16, torch.float32):
            worst, similar = self.check(output, dtype)
            self.assertEqual(worst, 0)
            self.assertGreater(similar, 0.999)

    def test_the_layers_that_are_chosen_by_default(self):
        """Not only those of plain torch."""
        output = self.write("default", *SCHEMES["4 bits in groups"])
        weights = self.floats(output)
        outputs = small_llama.logits(load(output))
        self.assertGreater(
            self.similarity(outputs, weights, torch.bfloat16), 0.999)

    def test_all_values_of_a_group_on_one_side(self):
        """No zero point is 0, which the format has no place for."""
        source = os.path.join(self.folder, "positive")
        model = small_llama.make(source)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                if "mlp" in name:
                    parameter.copy_(parameter.abs())
                elif "self_attn" in name:
                    parameter.copy_(-parameter.abs())
        model.save_pretrained(source)
        output = self.write("one side", *SCHEMES["asymmetric"], source=source)
        weights = self.floats(output, "--dtype", "f16")
        self.assertEqual(
            self.worst(self.load(output, torch.float16), weights), 0)
        originals = dict(model.named_parameters())
        for name, weight in weights.items():
            if "_proj" not in name:
                continue
            original = originals[name].detach().float()
            error = (weight.float() - original).abs().max()
            # Half a step of fifteen, or of fourteen, and a little for scales.
            self.assertLess(error / original.abs().max(), 0.6 / 14, name)

    def test_what_is_wrong_is_told(self):
        output = self.write("wrong", *SCHEMES["asymmetric"])
        is_told = self.check_it_is_told(output)

        def swap(tensors):
            for name, tensor in tensors.items():
                if name.endswith("qweight"):
                    b = tensor.view(torch.uint8)
                    tensors[name] = (b >> 4 | b << 4).view(torch.int32)

        is_told(change_config, output, lambda config: config.update(
            checkpoint_format="gptq_v2"))
        change_config(output, lambda config: config.update(
            checkpoint_format="gptq"))
        is_told(change_tensors, output, swap)

    def test_a_layer_that_is_not_named_is_told(self):
        output = self.write("forgotten", *SCHEMES["one layer left out"])
        config = read_config(output)["quantization_config"]
        self.assertEqual(config["dynamic"],
                         {r"-:^model\.layers\.1\.mlp\.up_proj$": {}})
        self.check_it_is_told(output)(
            change_config, output,
            lambda config: config.pop("modules_in_block_to_quantize"))

    def test_it_is_read_back(self):
        self.check_reading({name: args for name, args in SCHEMES.items()
                            if name != "asymmetric"})

    def test_the_example(self):
        output = self.write("example", *SCHEMES["4 bits in groups"])
        text = self.run_example("load_gptq.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)


class AwqTest(Words):

    FORMAT = "awq"

    def options(self):
        return {"device_map": "cpu",
                "quantization_config": transformers.AwqConfig(
                    backend="torch_awq")}

    def effective(self, module):
        if isinstance(module, torch.nn.Linear):
            return module.weight.detach()
        with torch.no_grad():
            return module(torch.eye(module.in_features,
                                    dtype=torch.float16)).T

    def test_every_scheme(self):
        self.check_schemes({
            **SCHEMES,
            "unsigned": ["--type", "uint4", "-g", 64, "-s", "asymmetric"],
        })

    def test_what_is_wrong_is_told(self):
        output = self.write("awq wrong", *SCHEMES["asymmetric"])

        def reorder(tensors):
            """The rows of a word one after the other."""
            for name, tensor in tensors.items():
                if name.endswith("qweight"):
                    nibbles = [tensor >> 4 * i & 15 for i in
                               (0, 4, 1, 5, 2, 6, 3, 7)]
                    tensors[name] = sum(
                        n.to(torch.int64) << 4 * i
                        for i, n in enumerate(nibbles)).to(torch.int32)

        self.check_it_is_told(output)(change_tensors, output, reorder)

    def test_a_layer_that_is_not_named_is_told(self):
        output = self.write("awq forgotten", *SCHEMES["one layer left out"])
        self.check_it_is_told(output)(
            change_config, output,
            lambda config: config.update(modules_to_not_convert=["lm_head"]))

    def test_it_is_read_back(self):
        self.check_reading(SCHEMES)

    def test_the_example(self):
        output = self.write("awq example", *SCHEMES["4 bits in groups"])
        text = self.run_example("load_awq.py", output)
        self.assertIn("LlamaForCausalLM", text)
        self.assertIn("(1, 3, 128)", text)



if __name__ == "__main__":
    unittest.main()
