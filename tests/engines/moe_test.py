"""Transformers loads mixtures of experts as docs/formats.md says.

It has the weights of all experts of a layer as one tensor, and files have one of
each expert. Every weight equals monoquant's own dequantized one, bit for bit.
"""

import os
import unittest
from unittest import mock

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import torch
import transformers
from transformers.quantizers.quantizer_finegrained_fp8 import (
    FineGrainedFP8HfQuantizer)

from tests.engines import small_llama, small_moe
from tests.engines.engine_test_case import load, read_config
from tests.engines.every_format import EveryFormat, WORDS
from tests.support import monoquant

AUTO = transformers.AutoModelForCausalLM
FLOAT_EXPERTS = ["--skip", "*.experts.*"]

# With experts quantized.
SCHEMES = {
    "fp8": ("fp8", []),
    "int4 in groups": ("compressed-tensors", ["--bits", 4, "-g", 32]),
    "int8 in groups": ("compressed-tensors", ["--bits", 8, "-g", 64]),
    "fp8 per channel": ("compressed-tensors", ["--type", "fp8_e4m3"]),
    # One weight of each is a float: of these models under one of two names.
    "fp8 per channel and floats": (
        "compressed-tensors",
        ["--type", "fp8_e4m3", "--skip", "*.experts.*.down_proj.*", "--skip",
         "*.experts.*.w2.*", "--allow-unmatched"]),
    # Experts have a scheme of their own, the first or the second one.
    "int4 and fp8": (
        "compressed-tensors",
        ["--bits", 4, "-g", 32, "--rule", "*.experts.*=fp8_e4m3"]),
    "int8 and int4": (
        "compressed-tensors", ["--bits", 8, "--rule",
                               "*.experts.*=int4,group=32,scale_dtype=bf16"]),
    "int4 and int8": (
        "compressed-tensors",
        ["--bits", 4, "-g", 32, "--rule",
         "*.self_attn.*_proj*.weight=int8,scale_dtype=bf16"]),
}

# With experts left as they are.
OTHERS = {
    "fp8": FLOAT_EXPERTS,
    "gptq": ["--bits", 4, "-g", 32, *FLOAT_EXPERTS],
    "awq": ["--bits", 4, "-g", 32, *FLOAT_EXPERTS],
    # They are by default.
    "bitsandbytes": [],
    "torchao": [],
}


class MoeTest(EveryFormat):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sources = {}
        for name in small_moe.ALL:
            cls.sources[name] = os.path.join(cls.folder, "source of " + name)
            small_moe.make(name, cls.sources[name])

    def test_experts_are_quantized(self):
        for model, source in self.sources.items():
            for scheme in SCHEMES:
                with self.subTest(model=model, scheme=scheme):
                    self.check_quantized(source, scheme)

    def check_quantized(self, source, scheme):
        form, args = SCHEMES[scheme]
        output = self.write_as(form, *args, source=source)
        # Activations too have 8 bits where the configuration says so, and some
        # tokens go to other experts then.
        least = 0.97 if scheme != "fp8" and "8" in scheme else 0.999
        _, twin = self.check_all(form, output, AUTO, small_llama.logits, source,
                                 least)
        self.assertFalse(self.are_experts_of(twin, load(source)))

    def are_experts_of(self, model, original):
        found = dict(model.named_parameters())
        return all(torch.equal(found[name].float(), parameter.float())
                   for name, parameter in original.named_parameters()
                   if ".experts." in name)

    def test_experts_are_left(self):
        for model, source in self.sources.items():
            for form in OTHERS:
                with self.subTest(model=model, form=form):
                    self.check_left(source, form)

    def check_left(self, source, form):
        output = self.write_as(form, *OTHERS[form], source=source)
        model, _ = self.check_all(form, output, AUTO, small_llama.logits, source,
                                  0.99)
        dtype = torch.float16 if form in WORDS else torch.bfloat16
        self.assertTrue(self.are_experts_of(model, load(source, dtype)))

    def test_reasons(self):
        for form in ("bitsandbytes", "torchao"):
            plan = monoquant.run_json(
                "plan", "-m", self.sources["Mixtral"], "--to", form)
            reasons = {tensor["reason"] for tensor in plan["tensors"]
                       if ".experts." in tensor["name"]}
            self.assertEqual(
                reasons, {"expert (name), which Transformers loads no %s "
                          "weights of" % form})

    def test_no_program_loads_experts_of_torchao(self):
        with self.assertRaisesRegex(monoquant.Failed, "is an expert's"):
            self.write_as("torchao", "--rule", "*.experts.*=int8",
                          source=self.sources["Mixtral"])

    def test_what_transformers_does_not_load(self):
        """What vLLM and GPTQModel do. Should this change, so do the documents."""
        source = self.sources["Qwen3"]
        for form in WORDS:
            output = self.write_as(form, "--bits", 4, "-g", 32, source=source)
            _, info = self.load_as(form, output, AUTO)
            self.assertIn("model.layers.0.mlp.experts.gate_up_proj",
                          info["missing_keys"])
        for args in (["--bits", 8],
                     ["--bits", 4, "-g", 32, *FLOAT_EXPERTS]):
            output = self.write_as("compressed-tensors", *args, source=source)
            with self.assertRaises(RuntimeError):
                self.load_as("compressed-tensors", output, AUTO)

    def test_fp8_as_on_a_gpu(self):
        """There experts have modules of FP8, and what they hold is in the
        file."""
        with mock.patch.object(FineGrainedFP8HfQuantizer,
                               "validate_environment"):
            for args, kind in (([], "FP8Experts"),
                               (FLOAT_EXPERTS, "Qwen3MoeExperts")):
                output = self.write_as("fp8", *args,
                                       source=self.sources["Qwen3"])
                model, info = self.load_as("fp8", output, AUTO)
                self.assertEqual(info, {})
                layer = model.model.layers[1]
                self.assertEqual(type(layer.self_attn.q_proj).__name__,
                                 "FP8Linear")
                self.assertEqual(type(layer.mlp.experts).__name__, kind)


if __name__ == "__main__":
    unittest.main()
