"""--for: what a program loads, and what its kernels take."""

import json
import os
import unittest

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import DOCS, CliTestCase

QUERY = "attn.q_proj.weight"
KEY = "attn.k_proj.weight"
VALUE = "attn.v_proj.weight"
OTHERS = ["attn.o_proj.weight", "mlp.gate_proj.weight", "mlp.up_proj.weight"]


class ProgramsTest(CliTestCase):

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("hf"))
        # Keys and values have fewer rows than vLLM's kernels take by themselves.
        shapes = {QUERY: (128, 128), KEY: (32, 128), VALUE: (32, 128),
                  **{name: (128, 128) for name in OTHERS}}
        self.tensors = [make_checkpoints.normal(name, shape)
                        for name, shape in shapes.items()]
        make_checkpoints.write_safetensors(
            self.path("hf", "model.safetensors"), self.tensors)
        with open(self.path("hf", "config.json"), "w") as file:
            file.write('{"model_type": "x"}')

    def document(self, schema, *args):
        document = json.loads(self.succeed(*args, "--json"))
        json_schema.check(
            document, json_schema.load(DOCS / "schemas" / (schema + ".json")))
        return document

    def reasons(self, *args):
        """Of what stays as it is: {name: reason}."""
        plan = self.document("plan", "plan", "hf", *args)
        return {row["name"]: row["reason"] for row in plan["tensors"]
                if row["action"] == "copy"}

    def test_the_program_chooses_the_format(self):
        result = self.document("result", "quantize", "hf", "-o", "out", "--for",
                               "vllm")
        self.assertEqual(result["output"]["format"], "compressed-tensors")
        self.assertEqual(result["for"], {"program": "vllm", "left": 0})
        with open(self.path("out", "config.json")) as file:
            config = json.load(file)["quantization_config"]
        self.assertEqual(config["quant_method"], "compressed-tensors")
        result = self.document("result", "quantize", "hf", "-o", "gptq",
                               "--for", "Transformers", "--to", "gptq")
        self.assertEqual(result["output"]["format"], "gptq")
        self.assertEqual(result["for"]["program"], "transformers")
        self.assertNotIn("for", self.document("plan", "plan", "hf"))

        make_checkpoints.write_torch(self.path("m.pt"), self.tensors)
        text = self.succeed("quantize", "m.pt", "--for", "torch")
        self.assertRegex(text, r"(?m)^for +torch: torch-ao$")
        self.assertRegex(text, r"(?m)^wrote +m_int8\.pt  torch-ao, ")

    def test_what_the_kernels_do_not_take(self):
        """It stays, and with it what is one matrix with it."""
        reasons = self.reasons("--for", "vllm", "-b", "4")
        self.assertEqual(sorted(reasons), sorted([QUERY, KEY, VALUE]))
        self.assertIn("for vLLM: it is [32, 128]; the Marlin kernel takes "
                      "multiples of 64 rows", reasons[KEY])
        self.assertIn("vLLM puts weights of 'attn' into one matrix",
                      reasons[QUERY])
        self.assertEqual(self.reasons("--for", "transformers", "-b", "4"), {})
        text = self.succeed("quantize", "hf", "--for", "vllm", "-b", "4")
        self.assertRegex(text, r"(?m)^for +vLLM: compressed-tensors, 3 weights "
                               r"not quantized for its sake$")
        self.assertRegex(self.succeed("plan", "hf", "--for", "vllm", "-b", "4"),
                         r"(?m)^for vLLM: compressed-tensors, 3 weights not ")
        self.fail_with(3, "plan", "hf", "--for", "vllm", "--rule",
                       KEY + "=int4", mentions=[KEY, "for vLLM: it is [32, 128]", "--skip"])
        # Nobody's kernels know monoquant's own storage.
        reasons = self.reasons("--for", "sglang", "--to", "safetensors")
        self.assertEqual(len(reasons), len(self.tensors))
        self.assertIn("use --to compressed-tensors", reasons[KEY])

    def test_what_is_one_matrix_has_one_scheme(self):
        reasons = self.reasons("--for", "sglang", "--skip", OTHERS[1])
        self.assertEqual(sorted(reasons), OTHERS[1:])
        self.assertIn(OTHERS[1], reasons[OTHERS[2]])
        self.fail_with(3, "plan", "hf", "--for", "vllm", "--rule",
                       OTHERS[1] + "=fp8_e4m3",
                       mentions=[OTHERS[1], OTHERS[2], "give them one scheme"])
        self.succeed("plan", "hf", "--for", "vllm", "--rule", "mlp.*=fp8_e4m3")
        self.succeed("plan", "hf", "--for", "transformers", "--rule",
                     OTHERS[1] + "=fp8_e4m3")

    def write_experts(self):
        """A model of two experts, in the directory moe."""
        os.mkdir(self.path("moe"))
        experts = ["model.layers.0.mlp.experts.%d.%s_proj.weight" % (expert, layer)
                   for expert in (0, 1) for layer in ("gate", "up", "down")]
        make_checkpoints.write_safetensors(
            self.path("moe", "model.safetensors"),
            [make_checkpoints.normal(name, (128, 128))
             for name in ("model.layers.0.self_attn.o_proj.weight", *experts)])
        with open(self.path("moe", "config.json"), "w") as file:
            file.write('{"model_type": "x"}')
        return experts

    def test_experts_in_transformers(self):
        """It loads them in some formats only, and not each by itself."""
        experts = self.write_experts()
        args = ("--for", "transformers", "-b", "4")

        def left(*more):
            plan = self.document("plan", "plan", "moe", *more)
            return {row["name"]: row["reason"] for row in plan["tensors"]
                    if row["action"] == "copy"}

        for form in ("gptq", "awq"):
            reasons = left(*args, "--to", form)
            self.assertEqual(sorted(reasons), sorted(experts))
            self.assertIn("experts get random numbers", reasons[experts[0]])
            self.assertEqual(left("--to", form, "-b", "4"), {})
            self.fail_with(3, "plan", "moe", *args, "--to", form, "--rule",
                           "*.experts.*=int4", mentions=["random numbers",
                                                         "--skip '*.experts"])
        self.assertEqual(left(*args), {})
        self.assertEqual(left("--for", "transformers", "--type", "fp8_e4m3",
                              "--skip", "*.experts.*").keys(), set(experts))
        # As a whole or not at all, and not beside integers.
        for more in (("-b", "4", "--skip", "*.experts.1.up*"),
                     ("-b", "4", "--skip", "*.experts.*"), ("-b", "8")):
            self.fail_with(3, "plan", "moe", "--for", "transformers", *more,
                           mentions=["tensor 'model.layers.0.mlp.experts.",
                                     "for Transformers: it is an expert's",
                                     "--type fp8_e4m3"])
        self.succeed("plan", "moe", "--for", "transformers", "-b", "8", "--rule",
                     "*.experts.*=int4,group=32")

    def test_convert(self):
        """It takes the program's format, and checks the weights."""
        self.succeed("quantize", "hf", "-o", "gptq", "--to", "gptq", "-g", "32",
                     "--skip", "attn.*", "--scale-dtype", "f16")
        result = self.document("result", "convert", "gptq", "-o", "out", "--for",
                               "vllm")
        self.assertEqual(result["output"]["format"], "compressed-tensors")
        self.assertEqual(result["for"], {"program": "vllm", "left": 0})
        result = self.document("result", "convert", "gptq", "-o", "awq", "--for",
                               "sglang", "--to", "awq")
        self.assertEqual(result["output"]["format"], "awq")
        self.succeed("quantize", "hf", "-o", "mixed", "--to", "gptq", "-g", "32",
                     "--skip", KEY, "--scale-dtype", "f16")
        self.fail_with(3, "convert", "mixed", "-o", "no", "--for", "vllm",
                       mentions=["mixed: tensor 'attn.", "for vLLM: it is",
                                 "leave it as it is (--skip)"])
        self.fail_with(3, "convert", "mixed", "-o", "no", "--for", "vllm",
                       "--to", "gptq", mentions=["for vLLM"])
        self.succeed("convert", "mixed", "-o", "yes", "--for", "transformers")
        self.fail_with(2, "convert", "hf", "-o", "no", "--for", "vllm",
                       mentions=["nothing in it is quantized",
                                 "--to safetensors"])
        self.fail_with(2, "convert", "gptq", "-o", "no", "--for", "sglang",
                       "--to", "torchao", mentions=["SGLang does not load"])
        self.assertFalse(os.path.exists(self.path("no")))

    def test_mistakes(self):
        self.fail_with(2, "quantize", "hf", "--for", "vllm", "--to", "torch-ao",
                       mentions=["vLLM does not load torch-ao",
                                 "compressed-tensors, gptq"])
        self.fail_with(2, "plan", "hf", "--for", "tgi",
                       mentions=["unknown program 'tgi'", "vllm, sglang"])
        self.fail_with(2, "quantize", "hf", "--for", "vllm", "-o",
                       "x.safetensors", mentions=["output is a directory"])


if __name__ == "__main__":
    unittest.main()
