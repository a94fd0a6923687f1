"""The command verify: what monoquant writes is in order for all programs that
load it, and each way to spoil it is told.

(quantize --verify is another thing: //tests/cli:verify_test.)
"""

import json
import os
import shutil
import struct
import unittest
import zipfile

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import DOCS, CliTestCase
from tests.support import safetensors_file

SCHEMA = DOCS / "schemas" / "verify.json"
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama",
          "dtype": "float32", "tie_word_embeddings": False}

# The programs that load what --to writes.
LOADED_BY = {
    "compressed-tensors": ("vllm", "sglang", "transformers"),
    "gptq": ("vllm", "sglang", "transformers"),
    "awq": ("vllm", "sglang", "transformers"),
    "fp8": ("vllm", "sglang", "transformers"),
    "bitsandbytes": ("vllm", "transformers"),
    "torchao": ("vllm", "transformers"),
}


def llama():
    """The weights of one layer of a Llama, of shapes that all kernels take."""
    layer = "model.layers.0."
    shapes = {
        "model.embed_tokens.weight": (32, 128),
        layer + "input_layernorm.weight": (128,),
        layer + "self_attn.q_proj.weight": (128, 128),
        layer + "self_attn.k_proj.weight": (128, 128),
        layer + "self_attn.v_proj.weight": (128, 128),
        layer + "self_attn.o_proj.weight": (128, 128),
        layer + "mlp.gate_proj.weight": (256, 128),
        layer + "mlp.up_proj.weight": (256, 128),
        layer + "mlp.down_proj.weight": (128, 256),
        "lm_head.weight": (32, 128),
    }
    return [make_checkpoints.normal(name, shape)
            for name, shape in shapes.items()]


class VerifyCommandTest(CliTestCase):

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("m"))
        make_checkpoints.write_safetensors(
            self.path("m", "model.safetensors"), llama(), {"format": "pt"})
        self.write_json("m/config.json", CONFIG)

    def write_json(self, name, value):
        with open(self.path(name), "w") as file:
            json.dump(value, file)

    def read_json(self, name):
        with open(self.path(name)) as file:
            return json.load(file)

    def quantize(self, to, *flags, output="q"):
        self.succeed("quantize", "m", "-o", output, "--to", to, *flags)

    def edit_config(self, **entries):
        """Changes quantization_config; None takes an entry away."""
        config = self.read_json("q/config.json")
        for key, value in entries.items():
            config["quantization_config"][key] = value
            if value is None:
                del config["quantization_config"][key]
        self.write_json("q/config.json", config)

    def edit_tensors(self, edit, name="q/model.safetensors"):
        """Writes a file anew with what `edit` makes of its tensors."""
        entries, metadata = safetensors_file.read(self.path(name))
        tensors = {entry.name: entry for entry in entries}
        edit(tensors)
        safetensors_file.write(self.path(name), list(tensors.values()),
                               metadata)

    def verify(self, *args, exit_code=0):
        """The document of a run, checked against its schema."""
        process = self.run_cli("verify", *args, "--json")
        self.assertEqual(process.returncode, exit_code,
                         process.stdout + process.stderr)
        document = json.loads(process.stdout)
        json_schema.check(document, json_schema.load(SCHEMA))
        self.assertEqual(document["ok"], exit_code == 0)
        return document

    def expect_finding(self, what, *args, severity="error", check=None,
                       tensor=None, file=None):
        """Verifies, and finds the one that says `what`."""
        document = self.verify(*args,
                               exit_code=4 if severity == "error" else 0)
        found = [finding for finding in document["findings"]
                 if what in finding["what"]]
        self.assertEqual(len(found), 1, document["findings"])
        self.assertEqual(found[0]["severity"], severity)
        if check:
            self.assertEqual(found[0]["check"], check)
        if tensor:
            self.assertIn(tensor, found[0]["tensors"])
        if file:
            self.assertEqual(found[0]["file"], file)
        return document

    # ------------------------------------------------- what is in order --

    def test_what_is_written_is_in_order(self):
        for to, programs in LOADED_BY.items():
            self.quantize(to, output=to)
            for program in (None, *programs):
                with self.subTest(to, program=program):
                    flags = ("--for", program) if program else ()
                    document = self.verify(to, *flags)
                    self.assertEqual(document["findings"], [])
                    self.assertEqual(document["format"], to)
                    self.assertEqual(document["program"], program)
                    self.assertEqual(document["quantized"], 7)

    def test_schemes_of_compressed_tensors(self):
        for flags in (("-b", "8"), ("-b", "4", "-g", "32"),
                      ("--type", "fp8_e4m3"),
                      ("--type", "fp8_e4m3", "--granularity", "block"),
                      ("-b", "4", "--rule", "*.down_proj.*=int8"),
                      ("-b", "4", "--skip", "*.mlp.*"),
                      ("-b", "4", "--max-shard-size", "64K")):
            with self.subTest(flags=flags):
                shutil.rmtree(self.path("q"), ignore_errors=True)
                self.quantize("compressed-tensors", *flags)
                for program in LOADED_BY["compressed-tensors"]:
                    document = self.verify("q", "--for", program)
                    self.assertEqual(document["findings"], [])

    def test_schemes_with_a_name(self):
        for name, programs in (("nvfp4", ("vllm", "transformers")),
                               ("mxfp4", ("vllm", "transformers")),
                               ("mxfp8", ("transformers",))):
            with self.subTest(name):
                shutil.rmtree(self.path("q"), ignore_errors=True)
                self.quantize("compressed-tensors", "--type", name)
                for program in programs:
                    document = self.verify("q", "--for", program)
                    self.assertEqual(document["findings"], [])
                    self.assertEqual(document["quantized"], 7)
        self.expect_finding("is mxfp8, which no kernel is known for", "q",
                            "--for", "vllm", severity="warning")

    def test_eight_bits_of_bitsandbytes(self):
        self.quantize("bitsandbytes", "--type", "llm_int8")
        for program in LOADED_BY["bitsandbytes"]:
            document = self.verify("q", "--for", program)
            self.assertEqual(document["findings"], [])
            self.assertEqual(document["quantized"], 7)
        self.expect_finding("SGLang has a loader, which is not tested", "q",
                            "--for", "sglang", severity="warning")

    def test_containers_of_floats(self):
        self.assertEqual(self.verify("m", "--for", "vllm")["findings"], [])
        for name in ("f.pt", "f.safetensors", "f.mqir"):
            self.succeed("quantize", "m", "-o", name, "-b", "16")
            self.assertEqual(self.verify(name)["findings"], [])
        self.assertEqual(self.verify("f.pt", "--for", "torch")["findings"], [])
        self.expect_finding("mqir is none of the formats", "f.mqir", "--for",
                            "torch", check="program")
        # A file alone is no model of theirs.
        self.expect_finding("no config.json", "f.safetensors", "--for", "vllm")

    def test_codes_that_only_monoquant_reads(self):
        self.succeed("quantize", "m", "-o", "q")
        self.assertEqual(self.verify("q")["findings"], [])
        self.expect_finding("codes and scales that only monoquant knows", "q",
                            "--for", "vllm",
                            tensor="model.layers.0.mlp.up_proj.weight")

    def test_torch_ao(self):
        self.succeed("quantize", "m/model.safetensors", "-o", "q.pt", "--to",
                     "torch-ao")
        document = self.verify("q.pt", "--for", "torch")
        self.assertEqual(document["format"], "torch-ao")
        self.expect_finding("torch-ao is none", "q.pt", "--for", "vllm")

    def test_text(self):
        self.quantize("gptq")
        text = self.succeed("verify", "q", "--for", "vllm")
        self.assertRegex(text, r"(?m)^read +q  safetensors, gptq, 31 tensors, "
                               r"7 weights quantized, [0-9.]+ KiB$")
        self.assertRegex(text, r"(?m)^result +nothing wrong for vLLM$")
        os.remove(self.path("q", "config.json"))
        process = self.run_cli("verify", "q", "--for", "vllm")
        self.check_message(process, 4, ["q: ", "2 errors, 0 warnings for vLLM",
                                        "the first: "])
        self.assertRegex(process.stdout, r"(?m)^error .*no config\.json")
        # One that monoquant reads without, by itself.
        self.expect_finding("no config.json", "q/model.safetensors",
                            severity="warning")
        self.assertEqual(self.succeed("verify", "m", "--quiet"), "")

    # -------------------------------------------------------------- files --

    def shard(self):
        self.quantize("compressed-tensors", "-b", "4", "--max-shard-size",
                      "64K")
        self.index = self.read_json("q/model.safetensors.index.json")
        self.shards = sorted(set(self.index["weight_map"].values()))
        self.assertGreater(len(self.shards), 1)

    def write_index(self):
        self.write_json("q/model.safetensors.index.json", self.index)

    def test_a_missing_shard(self):
        self.shard()
        os.remove(self.path("q", self.shards[0]))
        document = self.expect_finding("is missing", "q", check="files",
                                       file=self.shards[0])
        self.assertFalse(document["complete"])
        text = self.run_cli("verify", "q").stdout
        self.assertIn("when the files are whole", text)

    def test_a_damaged_shard(self):
        self.shard()
        path = self.path("q", self.shards[1])
        with open(path, "r+b") as file:
            file.truncate(os.path.getsize(path) - 1)
        self.expect_finding("", "q", check="files", file=self.shards[1])

    def test_a_wrong_index(self):
        self.shard()
        names = [name for name, file in self.index["weight_map"].items()
                 if file == self.shards[0]]
        good = json.dumps(self.index)

        self.index["metadata"]["total_size"] += 1
        self.write_index()
        self.expect_finding("total_size is ", "q", check="files",
                            file="model.safetensors.index.json")

        self.index = json.loads(good)
        self.index["weight_map"][names[0]] = self.shards[1]
        self.write_index()
        self.expect_finding("is not there, but in " + self.shards[0], "q",
                            tensor=names[0])

        self.index = json.loads(good)
        self.index["weight_map"]["model.none.weight"] = self.shards[0]
        self.write_index()
        self.expect_finding("in none of its files", "q",
                            tensor="model.none.weight")

        self.index = json.loads(good)
        self.write_index()
        for name in ("model-00009-of-00009.safetensors", "model.safetensors"):
            shutil.copy(self.path("m", "model.safetensors"),
                        self.path("q", name))
        document = self.verify("q")
        self.assertEqual(
            {(finding["severity"], finding["file"])
             for finding in document["findings"]},
            {("warning", "model-00009-of-00009.safetensors"),
             ("warning", "model.safetensors")})

    def test_no_index(self):
        self.shard()
        os.remove(self.path("q", "model.safetensors.index.json"))
        self.expect_finding("several safetensors files but no index", "q",
                            check="files")

    def test_checksums(self):
        self.succeed("quantize", "m", "-o", "q.pt")
        self.succeed("quantize", "m", "-o", "q.mqir")
        for name in ("q.pt", "q.mqir"):
            document = self.verify(name, "--hashes")
            self.assertEqual(document["checksums"],
                             {"verified": [name], "without": []})
            with open(self.path(name), "r+b") as file:
                data = bytearray(file.read())
                if name == "q.pt":
                    with zipfile.ZipFile(self.path(name)) as archive:
                        member = max(archive.infolist(),
                                     key=lambda info: info.file_size)
                    at = member.header_offset + member.file_size // 2 + 200
                else:
                    at = len(data) // 2
                data[at] ^= 1
                file.seek(0)
                file.write(data)
            self.assertEqual(self.verify(name)["findings"], [])
            self.expect_finding("", name, "--hashes", check="files", file=name)
        self.assertEqual(self.verify("m", "--hashes")["checksums"],
                         {"verified": [], "without": ["model.safetensors"]})
        self.assertIsNone(self.verify("m")["checksums"])

    # ------------------------------------------------------ configuration --

    def test_compressed_tensors_config(self):
        self.quantize("compressed-tensors", "-b", "4", "--skip",
                      "*.down_proj.*")
        good = self.read_json("q/config.json")
        down = "model.layers.0.mlp.down_proj"
        up = "model.layers.0.mlp.up_proj"
        group = good["quantization_config"]["config_groups"]["group_0"]

        def changed(**weights):
            return {"group_0": {**group,
                                "weights": {**group["weights"], **weights}}}

        for what, entries in (
                ("quantization_status is missing",
                 {"quantization_status": None}),
                ("does not know", {"format": "packed"}),
                ("but group_0 has the format",
                 {"config_groups": {"group_0": {
                     **group, "format": "int-quantized"}}}),
                ("not in ignore", {"ignore": ["lm_head"]}),
                ("ignore says that it is not",
                 {"ignore": [down, "lm_head", up]}),
                ("no targets name it",
                 {"config_groups": {"group_0": {
                     **group, "targets": ["re:.*self_attn.*"]}}}),
                ("has symmetric false",
                 {"config_groups": changed(symmetric=False)}),
                ("has strategy", {"config_groups": changed(strategy="tensor")}),
                ("which compressed-tensors refuses",
                 {"config_groups": changed(method="rtn")}),
                ("no entry of config_groups",
                 {"config_groups": changed(num_bits=8)}),
                ("config_groups is no object", {"config_groups": []}),
                ("no quant_method", {"quant_method": None}),
                ("which no program knows", {"quant_method": "gtpq"})):
            with self.subTest(what):
                self.write_json("q/config.json", good)
                self.edit_config(**entries)
                self.expect_finding(what, "q")
        self.write_json("q/config.json", good)
        self.edit_config(ignore=["lm_head", down, "re:model\\.nothing"])
        self.expect_finding("which is no module", "q", severity="warning",
                            check="config", file="config.json")
        self.edit_config(ignore=["lm_head", "re:.*down_proj"])
        self.assertEqual(self.verify("q")["findings"], [])
        self.edit_config(ignore=["lm_head", "re:(?!x).*down_proj"])
        self.expect_finding("is not looked into", "q", severity="warning")

    def test_no_config(self):
        self.quantize("gptq")
        # Without the record, as another program writes it.
        entries, _ = safetensors_file.read(self.path("q", "model.safetensors"))
        safetensors_file.write(self.path("q", "model.safetensors"), entries,
                               {"format": "pt"})
        self.assertEqual(self.verify("q")["findings"], [])
        config = self.read_json("q/config.json")
        del config["quantization_config"]
        self.write_json("q/config.json", config)
        self.expect_finding("codes are loaded as weights", "q", check="config")
        with open(self.path("q", "config.json"), "w") as file:
            file.write("{")
        self.expect_finding("config.json", "q", check="config",
                            file="config.json")
        os.remove(self.path("q", "config.json"))
        self.expect_finding("there is no config.json", "q")

    def test_gptq(self):
        self.quantize("gptq")
        good = self.read_json("q/config.json")
        for what, entries in (
                ("quantization_config says 8", {"bits": 8}),
                ("groups of 64", {"group_size": 64}),
                ("zero points that are not in the middle",
                 {"checkpoint_format": "gptq_v2"}),
                ("has no bits", {"bits": None})):
            with self.subTest(what):
                self.write_json("q/config.json", good)
                self.edit_config(**entries)
                self.expect_finding(what, "q")
        self.write_json("q/config.json", good)
        self.edit_config(desc_act=None)
        self.expect_finding("has no desc_act", "q", severity="warning")
        self.write_json("q/config.json", good)
        self.write_json("q/quantize_config.json", good["quantization_config"])
        self.assertEqual(self.verify("q")["findings"], [])
        self.write_json("q/quantize_config.json", {"bits": 8})
        self.expect_finding("has bits 8", "q", file="quantize_config.json")
        os.remove(self.path("q", "quantize_config.json"))

        module = "model.layers.0.mlp.up_proj."

        def reorder(tensors):
            index = tensors[module + "g_idx"]
            words = [1 - index.data[4 * i] for i in range(128)]
            tensors[module + "g_idx"] = index._replace(
                data=struct.pack("<128i", *words))

        self.quantize("gptq", "-g", "64", "-f")
        self.edit_tensors(reorder)
        self.expect_finding("desc_act is false", "q", tensor=module + "weight")

        def beyond(tensors):
            index = tensors[module + "g_idx"]
            tensors[module + "g_idx"] = index._replace(
                data=struct.pack("<128i", *[2] * 128))

        self.edit_tensors(beyond)
        self.expect_finding("groups that do not exist", "q")

        def zero(tensors):
            points = tensors[module + "qzeros"]
            tensors[module + "qzeros"] = points._replace(
                data=b"\xff" * len(points.data))

        self.quantize("gptq", "-s", "asymmetric", "-f")
        self.assertEqual(self.verify("q")["findings"], [])
        self.edit_tensors(zero)
        self.expect_finding("zero points of 16", "q")

    def test_modules_that_are_not_converted(self):
        for to, key in (("awq", "modules_to_not_convert"),
                        ("fp8", "modules_to_not_convert"),
                        ("bitsandbytes", "llm_int8_skip_modules")):
            with self.subTest(to):
                self.quantize(to, "--skip", "*.down_proj.*", "-f")
                self.assertEqual(self.verify("q")["findings"], [])
                self.edit_config(**{key: ["lm_head"]})
                self.expect_finding("does not name it", "q",
                                    tensor="model.layers.0.mlp.down_proj."
                                           "weight")
                self.edit_config(**{key: ["lm_head", "model.layers.0.mlp"]})
                self.expect_finding("says that it is not", "q")
                shutil.rmtree(self.path("q"))

    def test_fp8(self):
        self.quantize("fp8")
        self.edit_config(weight_block_size=[64, 64])
        self.expect_finding("do not fit", "q")
        self.edit_config(weight_block_size=None)
        self.expect_finding("no weight_block_size", "q")

    def test_bitsandbytes(self):
        self.quantize("bitsandbytes")
        self.edit_config(bnb_4bit_quant_type="fp4")
        self.expect_finding("bnb_4bit_quant_type is", "q")
        self.edit_config(bnb_4bit_quant_type="nf4", load_in_4bit=False)
        self.expect_finding("load_in_4bit is not true", "q")

    # ------------------------------------------------------------ tensors --

    def test_orphans(self):
        up = "model.layers.0.mlp.up_proj."
        for to, gone, mentions in (
                ("compressed-tensors", "weight_packed", "weight"),
                ("compressed-tensors", "weight_scale", "weight_scale"),
                ("compressed-tensors", "weight_shape", "weight_shape"),
                ("gptq", "qweight", "qweight"), ("gptq", "g_idx", "g_idx"),
                ("gptq", "scales", "scales"), ("awq", "qzeros", "qzeros"),
                ("fp8", "weight", "weight"),
                ("fp8", "weight_scale_inv", "weight_scale_inv"),
                ("bitsandbytes", "weight.absmax", "absmax"),
                ("bitsandbytes", "weight.quant_state.bitsandbytes__nf4",
                 "quant_state"),
                ("bitsandbytes", "weight", "missing"),
                ("torchao", "_weight_scale", "scales")):
            with self.subTest(to, gone=gone):
                shutil.rmtree(self.path("q"), ignore_errors=True)
                flags = ("-b", "4") if to == "compressed-tensors" else ()
                self.quantize(to, *flags)
                self.edit_tensors(lambda tensors: tensors.pop(up + gone))
                document = self.verify("q", exit_code=4)
                self.assertTrue(
                    any(mentions in json.dumps(finding)
                        for finding in document["findings"]
                        if finding["severity"] == "error"),
                    document["findings"])

    def test_no_output_layer(self):
        self.edit_tensors(lambda tensors: tensors.pop("lm_head.weight"),
                          "m/model.safetensors")
        self.expect_finding("there is no lm_head", "m", check="tensors")
        self.write_json("m/config.json",
                        {**CONFIG, "tie_word_embeddings": True})
        self.assertEqual(self.verify("m")["findings"], [])

    # ----------------------------------------------------------- programs --

    def test_siblings(self):
        self.quantize("compressed-tensors", "-b", "4", "--skip", "*.k_proj.*")
        for program in ("vllm", "sglang"):
            self.expect_finding("as one matrix", "q", "--for", program,
                                check="program")
        self.expect_finding("as one matrix", "q", severity="warning")
        self.assertEqual(
            self.verify("q", "--for", "transformers")["findings"], [])

    def test_global_scales(self):
        self.quantize("compressed-tensors", "--type", "nvfp4")
        self.assertEqual(self.verify("q", "--for", "vllm")["findings"], [])

        def change(tensors):
            name = "model.layers.0.self_attn.k_proj.weight_global_scale"
            tensors[name] = tensors[name]._replace(data=struct.pack("<f", 3))

        self.edit_tensors(change)
        self.expect_finding("has the global scale 3, but", "q", "--for", "vllm",
                            check="program",
                            tensor="model.layers.0.self_attn.k_proj.weight")
        self.expect_finding("has the global scale 3, but", "q",
                            severity="warning")
        self.assertEqual(
            self.verify("q", "--for", "transformers")["findings"], [])

    def test_slow_kernels(self):
        make_checkpoints.write_safetensors(
            self.path("m", "model.safetensors"),
            [make_checkpoints.normal("model.layers.0.mlp.down_proj.weight",
                                     (32, 64))], {"format": "pt"})
        self.write_json("m/config.json", {"dtype": "float32"})
        self.quantize("gptq", "-g", "32")
        self.expect_finding("the Marlin kernel takes multiples", "q", "--for",
                            "vllm", severity="warning", check="program")
        self.assertEqual(
            self.verify("q", "--for", "transformers")["findings"], [])

    def test_a_name_that_transformers_does_not_look_for(self):
        self.quantize("gptq")
        os.rename(self.path("q", "model.safetensors"),
                  self.path("q", "weights.safetensors"))
        self.assertEqual(self.verify("q", "--for", "vllm")["findings"], [])
        self.expect_finding("no name that Transformers looks for", "q",
                            "--for", "transformers")

    # ------------------------------------------------------------- errors --

    def test_errors(self):
        with open(self.path("junk.pt"), "wb") as file:
            file.write(b"<html>")
        os.mkdir(self.path("empty"))
        path = self.path("m", "model.safetensors")
        with open(self.path("cut.safetensors"), "wb") as cut:
            with open(path, "rb") as file:
                cut.write(file.read()[:-1])
        for exit_code, args in (
                (2, ()), (2, ("m", "--for", "llama.cpp")),
                (2, ("m", "m")), (5, ("nothing",)), (6, ("junk.pt",)),
                (6, ("cut.safetensors",))):
            with self.subTest(args=args):
                self.fail_with(exit_code, "verify", *args)
        self.assertIn(self.run_cli("verify", "empty").returncode, (5, 6))
        self.fail_with(2, "verify", "m", "--for", "llama.cpp",
                       mentions=["vllm, sglang, transformers, torch"])


if __name__ == "__main__":
    unittest.main()
