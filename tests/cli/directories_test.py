"""Model directories: shards stay shards, and everything else comes along.

A run shows all of its files or none, and touches nothing of the user's.
"""

import json
import os
import shutil
import signal
import struct
import subprocess
import time
import unittest

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import (DOCS, PROGRAM, CliTestCase, environment,
                                     reset_signals, snapshot)
from tests.support import safetensors_file

SHARDS = ["model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors"]
INDEX = "model.safetensors.index.json"
SIDE_FILES = {
    "LICENSE": bytes(range(256)) * 9000,  # more than one piece of a copy
    "README.md": b"# Model\n",
    "config.json": b'{"model_type": "x"}',
    "empty.txt": b"",
    "merges.txt": b"a b\n",
    "modeling_x.py": b"raise SystemExit('this was executed')\n",
    "tokenizer.json": b"{}\r\n",
}
NOT_CARRIED = {
    ".gitattributes": b"x",
    "pytorch_model.bin": b"the same weights as a pickle",
    "pytorch_model.bin.index.json": b"{}",
    "training_args.bin": b"x",
}


def read_shards(folder):
    """As loaders do: the index, then each tensor from the file it names."""
    with open(os.path.join(folder, INDEX)) as file:
        index = json.load(file)
    shards = {}
    tensors = {}
    for name, shard in index["weight_map"].items():
        if shard not in shards:
            shards[shard] = make_checkpoints.read_safetensors(
                os.path.join(folder, shard))
        tensors[name] = shards[shard][name]
    stored = sum(len(shard) for shard in shards.values())
    if stored != len(tensors):
        raise AssertionError("the index does not have every tensor")
    size = sum(len(tensor.data) for tensor in tensors.values())
    if index["metadata"]["total_size"] != size:
        raise AssertionError("the index has a wrong total_size")
    return tensors


class DirectoriesTest(CliTestCase):

    def setUp(self):
        super().setUp()
        tensors = make_checkpoints.model()
        self.write_model("hf", tensors[:3], tensors[3:])

    def write_model(self, name, *shards, **kwargs):
        """A model directory with these shards."""
        os.mkdir(self.path(name))
        weight_map = {}
        for file, tensors in zip(SHARDS, shards):
            make_checkpoints.write_safetensors(
                self.path(name, file), tensors, {"format": "pt"}, **kwargs)
            weight_map.update({tensor.name: file for tensor in tensors})
        self.write(os.path.join(name, INDEX),
                   json.dumps({"weight_map": weight_map}).encode())
        for file, data in {**SIDE_FILES, **NOT_CARRIED}.items():
            self.write(os.path.join(name, file), data)
        os.mkdir(self.path(name, "onnx"))
        self.write(os.path.join(name, "onnx", "config.json"), b"{}")

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def listing(self, *names):
        return sorted(os.listdir(self.path(*names)))

    def check_side_files(self, folder):
        for name, data in SIDE_FILES.items():
            with open(self.path(folder, name), "rb") as file:
                self.assertEqual(file.read(), data, name)

    # What is written.

    def test_shards_stay_shards(self):
        text = self.succeed("quantize", "hf")
        self.assertRegex(text, r"(?m)^wrote +hf_int8  safetensors, 2 shards, ")
        self.assertRegex(text, r"(?m)^carried +LICENSE, README\.md, ")
        self.assertRegex(text, r"(?m)^note .*pytorch_model\.bin, training_args")
        self.assertRegex(text, r"(?m)^note .*directories.*onnx")
        self.assertEqual(self.listing("hf_int8"),
                         sorted([*SIDE_FILES, *SHARDS, INDEX]))
        self.check_side_files("hf_int8")

        # The same tensors as without shards, in the files that they were in.
        self.succeed("quantize", "hf", "-o", "one.safetensors")
        tensors = read_shards(self.path("hf_int8"))
        self.assertEqual(
            tensors, make_checkpoints.read_safetensors(
                self.path("one.safetensors")))
        first = make_checkpoints.read_safetensors(
            self.path("hf_int8", SHARDS[0]))
        self.assertEqual(
            sorted(first),
            ["embed.weight", "fc1.bias", "fc1.weight", "fc1.weight.scale",
             "fc1.weight.zero_point"])

    def test_the_output_is_a_model_directory_again(self):
        self.succeed("quantize", "hf", "-b", "4", "-o", "small")
        inspection = self.document("inspect", "inspect", "small")
        self.assertEqual(inspection["container"], "safetensors-sharded")
        self.assertEqual(
            [row["name"] for row in inspection["quantization"]["tensors"]],
            ["fc1.weight", "fc2.weight"])
        self.assertEqual(inspection["side_files"], sorted(SIDE_FILES))
        self.succeed("compare", "hf", "small", "--fail-under", "10")
        self.succeed("dequantize", "small")
        self.assertEqual(self.listing("small_float"), self.listing("small"))
        self.succeed("compare", "small", "small_float", "--fail-under", "100")
        self.succeed("convert", "small", "-o", "same")
        for name in SHARDS:
            self.assertEqual(snapshot(self.path("same"))[name],
                             snapshot(self.path("small"))[name])

    def test_every_shard_is_complete_by_itself(self):
        self.succeed("quantize", "hf", "-o", "small")
        for shard, names in zip(SHARDS, (["fc1.weight"], ["fc2.weight"])):
            path = os.path.join("small", shard)
            inspection = json.loads(self.succeed("inspect", path, "--json"))
            self.assertEqual(
                [row["name"] for row in inspection["quantization"]["tensors"]],
                names)
            self.succeed("dequantize", path, "-o", "float.safetensors",
                         "--force")

    def test_the_bytes_do_not_depend_on_threads(self):
        for threads in ("1", "4"):
            self.succeed("quantize", "hf", "-o", "t" + threads, "-T", threads,
                         "--chunk-size", "64K")
        self.assertEqual(snapshot(self.path("t1")), snapshot(self.path("t4")))

    def test_the_index_names_the_directory(self):
        self.succeed("quantize", os.path.join("hf", INDEX))
        self.succeed("quantize", "hf", "-o", "other")
        # The record tells what was named.
        self.assertEqual(self.listing("hf_int8"), self.listing("other"))
        self.check_side_files("hf_int8")

    def test_the_line_of_python_names_what_it_loads(self):
        """The directory where that is a model, or its only file."""
        for output, to, size, line in (
                ("a", "compressed-tensors", "1G", 'from_pretrained("a")'),
                ("b", "compressed-tensors", "3K", 'from_pretrained("b")'),
                ("c", "safetensors", "1G",
                 'load_file("c/model.safetensors")'),
                ("d", "safetensors", "3K", None)):
            with self.subTest(to=to, size=size):
                result = self.document("result", "quantize", "hf", "-o", output,
                                       "--to", to, "--max-shard-size", size)
                load = result["output"]["load"]
                if line is None:
                    self.assertIsNone(load)
                else:
                    self.assertTrue(load.endswith(line), load)

    def test_lists_of_torchao(self):
        """Each shard may list its own tensors; those that are written list
        all, as torchao needs it."""
        self.succeed("quantize", "hf", "-o", "one", "--to", "torchao")
        entries, metadata = safetensors_file.read(
            self.path("one", "model.safetensors"))
        names = json.loads(metadata["tensor_names"])
        first = [name for name in names if name.startswith("fc1")]
        self.assertNotIn(len(first), (0, len(names)))
        os.mkdir(self.path("two"))
        weight_map = {}
        for shard, listed in zip(SHARDS, (
                first, [name for name in names if name not in first])):
            modules = {name.split(".")[0] for name in listed}
            kept = [entry for entry in entries
                    if entry.name.split(".")[0] in modules]
            weight_map.update({entry.name: shard for entry in kept})
            safetensors_file.write(self.path("two", shard), kept, {
                **{name: metadata[name] for name in listed},
                "tensor_names": json.dumps(listed)})
        self.write(os.path.join("two", INDEX),
                   json.dumps({"weight_map": weight_map}).encode())
        shutil.copy(self.path("one", "config.json"), self.path("two"))
        self.succeed("convert", "two", "-o", "copy")
        for shard in SHARDS:
            _, copied = safetensors_file.read(self.path("copy", shard))
            self.assertEqual(sorted(json.loads(copied["tensor_names"])),
                             sorted(names))
            for name in names:
                self.assertEqual(copied[name], metadata[name])
        self.succeed("convert", "two", "-o", "whole", "--max-shard-size", "1G")
        whole, copied = safetensors_file.read(
            self.path("whole", "model.safetensors"))
        self.assertEqual(sorted(json.loads(copied["tensor_names"])),
                         sorted(names))
        self.assertEqual({entry.name for entry in whole},
                         {entry.name for entry in entries})

    def test_max_shard_size(self):
        self.succeed("quantize", "hf", "-o", "small", "--max-shard-size", "3K")
        count = sum(name.endswith(".safetensors")
                    for name in self.listing("small"))
        self.assertGreater(count, 2)
        tensors = read_shards(self.path("small"))
        self.succeed("quantize", "hf", "-o", "one.safetensors")
        self.assertEqual(
            tensors, make_checkpoints.read_safetensors(
                self.path("one.safetensors")))
        for i in range(count):
            shard = make_checkpoints.read_safetensors(self.path(
                "small", "model-%05d-of-%05d.safetensors" % (i + 1, count)))
            size = sum(len(tensor.data) for tensor in shard.values())
            if size > 3072:
                self.assertEqual(list(shard), ["embed.weight"])
            for name in shard:
                if name + ".scale" in tensors:
                    self.assertIn(name + ".scale", shard)
                    self.assertIn(name + ".zero_point", shard)
        self.check_side_files("small")

        self.succeed("quantize", "hf", "-o", "whole", "--max-shard-size", "1G")
        self.assertEqual(self.listing("whole"),
                         sorted([*SIDE_FILES, "model.safetensors"]))

    def test_shards_of_a_single_file(self):
        make_checkpoints.write_torch(self.path("m.pt"),
                                     make_checkpoints.model())
        self.succeed("quantize", "m.pt", "--max-shard-size", "4K")
        self.assertEqual(self.listing("m_int8"),
                         ["m-00001-of-00003.bin", "m-00002-of-00003.bin",
                          "m-00003-of-00003.bin", "m.bin.index.json"])
        self.fail_with(2, "quantize", "m.pt", "-o", "out.pt",
                       "--max-shard-size", "4K", mentions=["out.pt"])
        self.fail_with(2, "quantize", "m.pt", "--to", "mqir",
                       "--max-shard-size", "4K", mentions=["mqir"])
        self.fail_with(2, "plan", "hf", "--to", "mqir",
                       "--max-shard-size", "4K", mentions=["mqir"])

    def test_more_shards_than_open_files(self):
        tensors = [make_checkpoints.normal("t%d" % i, (32, 32))
                   for i in range(100)]
        make_checkpoints.write_safetensors(self.path("m.safetensors"), tensors)
        for format in ("safetensors", "torch"):
            self.succeed(
                "quantize", "m.safetensors", "-o", format, "--to", format,
                "--max-shard-size", "1K", "-T", "4",
                prefix=["sh", "-c", 'ulimit -n 24; exec "$@"', "sh"])
            self.assertEqual(len(self.listing(format)), 101)

    def test_other_formats(self):
        self.succeed("convert", "hf", "--to", "torch", "-o", "pickles")
        shards = ["pytorch_model-00001-of-00002.bin",
                  "pytorch_model-00002-of-00002.bin"]
        self.assertEqual(
            self.listing("pickles"),
            sorted([*SIDE_FILES, *shards, "pytorch_model.bin.index.json"]))
        with open(self.path("pickles", "pytorch_model.bin.index.json")) as file:
            weight_map = json.load(file)["weight_map"]
        for shard in shards:
            rows = json.loads(self.succeed(
                "inspect", os.path.join("pickles", shard), "--json"))
            for tensor in rows["tensors"]:
                self.assertEqual(weight_map.pop(tensor["name"]), shard)
        self.assertEqual(weight_map, {})
        self.succeed("compare", "hf", "pickles", "--fail-under", "1000")
        self.succeed("quantize", "pickles")
        self.assertEqual(self.listing("pickles_int8"), self.listing("pickles"))
        self.succeed("quantize", "hf", "-o", "small")
        self.succeed("compare", "pickles_int8", "small", "--fail-under", "1000")

        self.succeed("convert", "hf", "--to", "mqir", "-o", "mq")
        self.assertEqual(self.listing("mq"),
                         sorted([*SIDE_FILES, "model.mqir"]))
        self.succeed("compare", "hf", "mq/model.mqir", "--fail-under", "1000")

    def test_weights_that_are_computed_stay_in_their_shards(self):
        """8-bit floats with scales: no file has the floats that are read."""
        os.mkdir(self.path("fp8"))
        weight_map = {}
        for file, name in zip(SHARDS, "ab"):
            rows = [(name + ".weight", "F8_E4M3", [64, 64], b"\x38" * 4096),
                    (name + ".weight_scale_inv", "F32", [1, 1],
                     struct.pack("<f", 0.5))]
            header = {}
            data = b""
            for key, dtype, shape, payload in rows:
                header[key] = {"dtype": dtype, "shape": shape, "data_offsets":
                               [len(data), len(data) + len(payload)]}
                data += payload
                weight_map[key] = file
            text = json.dumps(header).encode()
            self.write(os.path.join("fp8", file),
                       struct.pack("<Q", len(text)) + text + data)
        self.write(os.path.join("fp8", INDEX),
                   json.dumps({"weight_map": weight_map}).encode())
        self.write("fp8/config.json", b"{}")
        text = self.succeed("quantize", "fp8", "-b", "4")
        self.assertNotRegex(text, "not carried")
        self.assertEqual(self.listing("fp8_int4"),
                         sorted([*SHARDS, INDEX, "config.json"]))
        for file, name in zip(SHARDS, "ab"):
            self.assertIn(name + ".weight", make_checkpoints.read_safetensors(
                self.path("fp8_int4", file)))

    # Formats that are model directories.

    def test_a_configuration_is_made(self):
        text = self.succeed("quantize", "hf", "-o", "out", "--to",
                            "compressed-tensors")
        self.assertRegex(text, r"(?m)^made +config\.json$")
        self.assertEqual(self.listing("out"),
                         sorted([*SIDE_FILES, *SHARDS, INDEX]))
        with open(self.path("out", "config.json")) as file:
            config = json.load(file)
        self.assertEqual(config["model_type"], "x")
        quantization = config["quantization_config"]
        self.assertEqual(quantization["quant_method"], "compressed-tensors")
        self.assertIn("embed", quantization["ignore"])
        tensors = read_shards(self.path("out"))
        self.assertIn("fc1.weight_scale", tensors)
        plan = self.document("plan", "plan", "hf", "--to", "compressed-tensors")
        self.assertEqual(plan["side_files"][-1], "config.json")
        self.assertRegex(self.succeed("plan", "hf", "-b", "4", "--to",
                                      "compressed-tensors"),
                         r"(?m)^made: config\.json$")
        # Once more from there: by way of floats.
        self.succeed("quantize", "out", "-b", "4", "-o", "again", "--to",
                     "compressed-tensors")
        with open(self.path("again", "config.json")) as file:
            again = json.load(file)["quantization_config"]
        self.assertEqual(again["format"], "pack-quantized")
        inspection = self.document("inspect", "inspect", "again")
        self.assertEqual(
            [(row["name"], row["storage"], row["codes"])
             for row in inspection["quantization"]["tensors"]],
            [(name, "compressed-tensors", name + "_packed")
             for name in ("fc1.weight", "fc2.weight")])
        self.assertIn("constant of fc1.weight", self.succeed("inspect", "again"))
        self.succeed("compare", "hf", "again", "--fail-under", "10")
        # What is decoded is no longer what the configuration says; what is
        # copied is.
        text = self.succeed("dequantize", "again", "-o", "floats")
        self.assertRegex(text, r"(?m)^note .*without the input's quantization")
        self.succeed("quantize", "again", "-o", "plain")
        for name in ("floats", "plain"):
            with open(self.path(name, "config.json")) as file:
                self.assertEqual(json.load(file), {"model_type": "x"})
        self.succeed("convert", "again", "-o", "copy")
        for name in ("config.json", *SHARDS):
            self.assertEqual(snapshot(self.path("copy"))[name],
                             snapshot(self.path("again"))[name])
        self.succeed("quantize", "hf", "-o", "out", "--force", "--verify",
                     "all", "-b", "4", "--to", "compressed-tensors")

    def test_codes_move_to_another_storage(self):
        """The same codes and scales, in the shards that they were in."""
        self.succeed("quantize", "hf", "-o", "plain", "-b", "4", "-g", "32",
                     "--scale-dtype", "f16")
        self.succeed("dequantize", "plain", "-o", "floats")
        before = "plain"
        for to, part in (("compressed-tensors", "fc1.weight_packed"),
                         ("awq", "fc1.qweight"), ("torch", "fc1.weight"),
                         ("compressed-tensors", "fc1.weight_packed"),
                         ("safetensors", "fc1.weight"),
                         ("awq", "fc1.qweight")):
            with self.subTest(before=before, to=to):
                output = "to_" + to
                text = self.succeed("convert", before, "-o", output, "--to",
                                    to, "--force", "--verify", "all")
                self.assertRegex(text, r"(?m)^note +2 quantized tensors stored "
                                       r"as in " + to + ", ")
                with open(self.path(output, "config.json")) as file:
                    config = json.load(file)
                self.assertEqual(config["model_type"], "x")
                self.assertEqual("quantization_config" in config,
                                 to not in ("safetensors", "torch"))
                if to != "torch":
                    self.assertIn(part, make_checkpoints.read_safetensors(
                        self.path(output, SHARDS[0])))
                    self.assertNotIn(part, make_checkpoints.read_safetensors(
                        self.path(output, SHARDS[1])))
                self.succeed("dequantize", output, "-o", "again", "--force",
                             "--to", "safetensors")
                self.succeed("compare", "floats", "again", "--fail-under",
                             "1000")
                before = output
        self.succeed("convert", before, "-o", "back", "--to", "safetensors")
        self.assertEqual(read_shards(self.path("back")),
                         read_shards(self.path("plain")))
        # GPTQ has no place for fc2, of 48 rows.
        self.fail_with(3, "convert", "plain", "-o", "out", "--to", "gptq",
                       mentions=["'fc2.weight'", "rows are no multiple of 32",
                                 "not lossless"])
        # Scales are not rounded.
        self.succeed("quantize", "hf", "-o", "wide", "-b", "4", "-g", "32")
        self.fail_with(3, "convert", "wide", "-o", "out", "--to", "awq",
                       mentions=["'fc1.weight'", "the scale ", "of F16",
                                 "not lossless"])
        self.assertFalse(os.path.exists(self.path("out")))
        # A file without --to keeps what the input has.
        self.succeed("convert", "to_awq", "-o", "x.pt")
        self.assertIn("fc1.qweight", self.succeed("inspect", "x.pt"))
        self.succeed("convert", "x.pt", "-o", "y.pt", "--to", "torch")
        self.assertNotIn("fc1.qweight", self.succeed("inspect", "y.pt"))

    def test_a_configuration_without_a_model(self):
        make_checkpoints.write_torch(self.path("m.pt"),
                                     make_checkpoints.model())
        text = self.succeed("quantize", "m.pt", "--to", "compressed-tensors")
        self.assertRegex(text, r"(?m)^note .*no config\.json of a model")
        self.assertEqual(self.listing("m_int8"),
                         ["config.json", "m.safetensors"])

    def test_what_a_configuration_cannot_say(self):
        to = ["--to", "compressed-tensors"]
        self.fail_with(2, "quantize", "hf", "-o", "x.safetensors", *to,
                       mentions=["x.safetensors", "is a directory", "model/"])
        self.fail_with(3, "quantize", "hf", "-o", "x", *to, "--rule",
                       "fc1.weight=int8,asymmetric",
                       mentions=["fc1.weight", "asymmetric", "use symmetric"])
        self.fail_with(3, "plan", "hf", *to, "--rule", "fc1.weight=uint8",
                       mentions=["fc1.weight", "uint8", "use int4"])
        self.succeed("quantize", "hf", "-o", "small", "--scheme", "asymmetric")
        self.fail_with(3, "convert", "small", "-o", "x", *to,
                       mentions=["fc1.weight", "asymmetric", "not lossless"])
        for text in (b"{", b"[]", b'{"a": 1, "a": 2}', b"{}" + b" " * 2**24):
            self.write(os.path.join("hf", "config.json"), text)
            self.fail_with(6, "quantize", "hf", "-o", "x", *to,
                           mentions=["hf/config.json", "mend it"])

    def test_a_file_has_no_side_files(self):
        text = self.succeed("quantize", "hf", "-o", "one.safetensors")
        self.assertRegex(text, r"(?m)^note .*LICENSE")
        self.assertEqual(self.listing(), ["hf", "one.safetensors"])

    def test_a_file_into_a_directory(self):
        make_checkpoints.write_torch(self.path("m.pt"),
                                     make_checkpoints.model())
        self.succeed("quantize", "m.pt", "-o", "new/")
        self.assertEqual(self.listing("new"), ["m.pt"])
        self.succeed("quantize", "m.pt", "-o", "new/", "--to", "safetensors")
        self.assertEqual(self.listing("new"), ["m.pt", "m.safetensors"])
        self.fail_with(5, "quantize", "m.pt", "-o", "new/",
                       mentions=["new/m.pt", "--force"])
        self.fail_with(5, "quantize", "m.pt", "-o", "./", "--force",
                       mentions=["m.pt", "is the input"])
        self.succeed("quantize", "m.pt", "-o", "new/", "--force")

    def document(self, schema, *args):
        """What a command prints with --json, checked against its schema."""
        document = json.loads(self.succeed(*args, "--json"))
        json_schema.check(
            document, json_schema.load(DOCS / "schemas" / (schema + ".json")))
        return document

    def test_plan_lists_the_files(self):
        plan = self.document("plan", "plan", "hf")
        result = self.document("result", "quantize", "hf")
        for key in ("files", "index", "side_files"):
            self.assertEqual(plan[key], result["output"][key])
        self.assertEqual([row["name"] for row in plan["files"]], SHARDS)
        self.assertEqual(plan["index"], INDEX)
        self.assertEqual(plan["side_files"], sorted(SIDE_FILES))
        sizes = {row["name"]: row["bytes"] for row in plan["files"]}
        for name, size in sizes.items():
            self.assertEqual(os.path.getsize(self.path("hf_int8", name)), size)
        self.assertEqual(result["output"]["bytes"], sum(sizes.values()))
        text = self.succeed("plan", "hf")
        for name, size in sizes.items():
            self.assertRegex(text, r"(?m)^%s +[0-9]+ " % name)

    # What is there already.

    def test_existing_directory(self):
        os.mkdir(self.path("out"))
        self.write("out/mine.txt", b"precious")
        self.write("out/config.json", b"old")
        self.write("target", b"behind a link")
        os.symlink("../target", self.path("out", "README.md"))
        self.fail_with(5, "quantize", "hf", "-o", "out",
                       mentions=["out", "--force"])
        self.succeed("quantize", "hf", "-o", "out", "--force")
        self.check_side_files("out")
        self.assertEqual(self.listing("out"),
                         sorted([*SIDE_FILES, *SHARDS, INDEX, "mine.txt"]))
        with open(self.path("target"), "rb") as file:
            self.assertEqual(file.read(), b"behind a link")
        read_shards(self.path("out"))

    def test_something_else_is_in_the_way(self):
        self.write("file", b"x")
        os.symlink("nowhere", self.path("dangling"))
        os.mkdir(self.path("out"))
        os.mkdir(self.path("out", "config.json"))
        for force in ([], ["--force"]):
            for name in ("file", "dangling", "none/out"):
                self.fail_with(5, "quantize", "hf", "-o", name, *force,
                               mentions=[name])
        self.fail_with(2, "quantize", "hf", "-o", "out", "--force",
                       mentions=["out/config.json", "a directory"])

    def test_the_input_is_never_written_to(self):
        os.symlink("hf", self.path("link"))
        os.mkdir(self.path("out"))
        os.link(self.path("hf", SHARDS[1]), self.path("out", SHARDS[1]))
        for name in ("hf", "hf/", "./hf", "link", "link/"):
            for force in ([], ["--force"]):
                self.fail_with(5, "quantize", "hf", "-o", name, *force,
                               mentions=[name, "is the input"])
        self.fail_with(5, "quantize", "hf", "-o", "out", "--force",
                       mentions=[SHARDS[1], "is the input"])
        before = snapshot(self.path("hf"))
        self.succeed("quantize", "hf", "-o", "hf/int8")
        after = snapshot(self.path("hf"))
        self.assertEqual({**before, **after}, after)

    # What goes wrong on the way.

    def fail_everywhere(self, exit_code, *args, **kwargs):
        """Fails into a new directory and into one that exists."""
        os.mkdir(self.path("there"))
        self.write("there/config.json", b"old")
        self.fail_with(exit_code, *args, "-o", "new", **kwargs)
        self.fail_with(exit_code, *args, "-o", "there", "--force", **kwargs)

    def test_a_shard_that_cannot_be_quantized(self):
        bad = make_checkpoints.normal("bad.weight", (32, 64))
        data = bytearray(bad.data)
        data[-4:] = struct.pack("<f", float("nan"))
        self.write_model("nan", make_checkpoints.model(),
                         [bad._replace(data=bytes(data))])
        self.fail_everywhere(3, "quantize", "nan", "-T", "1",
                             mentions=["bad.weight"])

    def test_full_disk(self):
        """As far as this can be had without privileges: no large files."""
        large = make_checkpoints.Tensor("w", "F32", (4096, 4096), b"")
        self.write_model("large", [large],
                         [large._replace(name="v", shape=(4096, 8192))],
                         sparse=True)
        self.fail_everywhere(5, "convert", "large", max_file_bytes=100 << 20,
                             mentions=[SHARDS[1], "choose another disk"])
        self.fail_with(5, "convert", "hf", "-o", "out", max_file_bytes=1 << 20,
                       mentions=["out/LICENSE"])

    def test_a_damaged_shard(self):
        with open(self.path("hf", SHARDS[1]), "r+b") as file:
            file.truncate(os.path.getsize(self.path("hf", SHARDS[1])) - 1)
        self.fail_everywhere(6, "quantize", "hf", mentions=[SHARDS[1]])

    def test_interrupt(self):
        tensor = make_checkpoints.Tensor("w", "F32", (1 << 17, 4096), b"")
        self.write_model("large", [tensor], [tensor._replace(name="v")],
                         sparse=True)
        os.mkdir(self.path("there"))
        self.write("there/config.json", b"old")
        before = snapshot(self.folder)
        for output, parent in (("new", ""), ("there", "there")):
            for signals in (1, 2):
                process = subprocess.Popen(
                    [PROGRAM, "quantize", "large", "-o", output, "--force",
                     "-T", "1", "--chunk-size", "64K", "--progress", "none",
                     "--no-resume"],
                    cwd=self.folder, env=environment(),
                    stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE, encoding="utf-8",
                    preexec_fn=reset_signals)
                while not any(name.endswith(".tmp")
                              for name in os.listdir(self.path(parent))):
                    self.assertIsNone(process.poll(), "ended too early")
                    time.sleep(0.005)
                time.sleep(0.1)
                for _ in range(signals):
                    process.send_signal(signal.SIGTERM)
                out, err = process.communicate(timeout=60)
                self.assertEqual(process.returncode, 130, err)
                self.assertEqual(
                    err, "monoquant: error: interrupted; nothing was written\n")
                self.assertEqual(out, "")
                self.assertEqual(snapshot(self.folder), before)


if __name__ == "__main__":
    unittest.main()
