"""A model directory that another program quantized: every command on it.

The directory is made by hand, a layer of GPTQ's with columns out of order, and
its values are computed here.
"""

import json
import os
import random
import struct
import unittest

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import DOCS, CliTestCase, snapshot
from tests.cli.make_checkpoints import Tensor

ROWS, COLUMNS, GROUPS = 32, 64, 2
QUANTIZATION = {
    "quant_method": "gptq", "bits": 4, "group_size": 32, "desc_act": True,
    "sym": False, "checkpoint_format": "gptq",
}


def words(values):
    """Codes of 4 bits, eight to a word."""
    return [sum(v << 4 * i for i, v in enumerate(values[j:j + 8]))
            for j in range(0, len(values), 8)]


def pack(form, values):
    return struct.pack("<%d%s" % (len(values), form), *values)


def layer(ordered=False):
    """([tensors], [values]) of a layer; ordered: a group is a run of columns."""
    source = random.Random(1)
    code = [[source.randrange(16) for _ in range(COLUMNS)]
            for _ in range(ROWS)]
    # Stored less 1, and taken off a whole word: some borrow.
    zero = [[source.choice((0, 7, 8, 15)) for _ in range(ROWS)]
            for _ in range(GROUPS)]
    scale = [[source.randrange(1, 100) / 64 for _ in range(ROWS)]
             for _ in range(GROUPS)]
    group = [source.randrange(GROUPS) for _ in range(COLUMNS)]
    if ordered:
        group = [c * GROUPS // COLUMNS for c in range(COLUMNS)]
    by_row = [words(row) for row in code]
    qweight = [by_row[row][word] for word in range(COLUMNS // 8)
               for row in range(ROWS)]
    qzeros = [(word - 0x11111111) % 2**32 for row in zero
              for word in words(row)]
    tensors = [
        Tensor("fc.g_idx", "I32", (COLUMNS,), pack("i", group)),
        Tensor("fc.qweight", "I32", (COLUMNS // 8, ROWS), pack("I", qweight)),
        Tensor("fc.qzeros", "I32", (GROUPS, ROWS // 8), pack("I", qzeros)),
        Tensor("fc.scales", "F16", (GROUPS, ROWS),
               pack("e", [s for row in scale for s in row])),
    ]
    values = [(code[r][c] - zero[group[c]][r]) * scale[group[c]][r]
              for r in range(ROWS) for c in range(COLUMNS)]
    return tensors, values


class ForeignWeightsTest(CliTestCase):

    def setUp(self):
        super().setUp()
        os.mkdir(self.path("hf"))
        tensors, values = layer()
        bias = make_checkpoints.normal("fc.bias", (ROWS,))
        self.write_model("hf", tensors + [bias])
        self.write("hf/quantize_config.json", QUANTIZATION)
        self.floats = make_checkpoints.floats("fc.weight", (ROWS, COLUMNS),
                                              values)
        make_checkpoints.write_safetensors(self.path("floats.safetensors"),
                                           [self.floats, bias])

    def write(self, name, document):
        with open(self.path(name), "w") as file:
            json.dump(document, file)

    def read(self, name):
        with open(self.path(name)) as file:
            return json.load(file)

    def write_model(self, name, tensors, **changes):
        os.makedirs(self.path(name), exist_ok=True)
        make_checkpoints.write_safetensors(
            self.path(name, "model.safetensors"), tensors, {"format": "pt"})
        self.write(os.path.join(name, "config.json"), {
            "dtype": "float32",
            "quantization_config": {**QUANTIZATION, **changes}})

    def check_floats(self, path):
        self.assertEqual(
            make_checkpoints.read_safetensors(self.path(path))["fc.weight"],
            self.floats)

    def test_inspect(self):
        text = self.succeed("inspect", "hf")
        self.assertNotIn("by monoquant", text)
        self.assertRegex(text, r"(?m)^note +weights in the format of gptq, as "
                               r"config\.json says \(1\): 'fc\.weight' \(uint4")
        self.assertRegex(text, r"(?m)^fc\.scales .*scale of fc\.weight$")
        self.assertRegex(text, r"(?m)^fc\.qweight .*uint4 group 32 .* of F32 "
                               r"\[32, 64\]$")
        document = json.loads(self.succeed("inspect", "hf", "--json"))
        json_schema.check(document, json_schema.load(
            DOCS / "schemas" / "inspect.json"))
        quantization = document["quantization"]
        self.assertIsNone(quantization["version"])
        self.assertEqual(quantization["tensors"][0]["codes"], "fc.qweight")
        stored = json.loads(
            self.succeed("inspect", "hf", "--as-stored", "--json"))
        self.assertIsNone(stored["quantization"])

    def test_compare(self):
        text = self.succeed("compare", "floats.safetensors", "hf",
                            "--fail-under", "200")
        self.assertRegex(text, r"(?m)^quality +exact$")

    def test_dequantize(self):
        self.succeed("dequantize", "hf", "-o", "out")
        self.check_floats("out/model.safetensors")
        # What says how it was quantized, would say so of floats.
        self.assertEqual(sorted(os.listdir(self.path("out"))),
                         ["config.json", "model.safetensors"])
        self.assertEqual(self.read("out/config.json"), {"dtype": "float32"})
        self.succeed("dequantize", "hf", "-o", "half.safetensors", "--dtype",
                     "f16")
        tensors = make_checkpoints.read_safetensors(
            self.path("half.safetensors"))
        self.assertEqual(tensors["fc.weight"].dtype, "F16")

    def test_quantize(self):
        text = self.succeed("quantize", "hf", "-o", "out", "-b", "8")
        self.assertRegex(text, r"(?m)^decode ")
        self.assertRegex(text, r"(?m)^note .*not carried.*quantize_config")
        self.assertEqual(self.read("out/config.json"), {"dtype": "float32"})
        self.succeed("compare", "floats.safetensors", "out", "--fail-under",
                     "30")
        for method in ("gptq", "awq", "compressed-tensors"):
            self.succeed("quantize", "hf", "-o", method, "-b", "4", "--to",
                         method)
            config = self.read(method + "/config.json")
            self.assertEqual(config["quantization_config"]["quant_method"],
                             method)
            self.succeed("compare", "floats.safetensors", method,
                         "--fail-under", "15")

    def test_convert(self):
        self.succeed("convert", "hf", "-o", "copy")
        self.assertEqual(self.read("copy/config.json"),
                         self.read("hf/config.json"))
        hf = make_checkpoints.read_safetensors(
            self.path("hf/model.safetensors"))
        self.assertEqual(
            make_checkpoints.read_safetensors(
                self.path("copy/model.safetensors")), hf)
        text = self.succeed("inspect", "copy")
        self.assertRegex(text, r"(?m)^written by monoquant \S+ from hf$")
        # Each of them knows what it holds, without a config.json.
        for name in ("x.safetensors", "x.pt", "x.mqir"):
            self.succeed("convert", "hf", "-o", name)
            self.succeed("convert", name, "-o", "again.safetensors", "--force")
            self.succeed("dequantize", "again.safetensors", "-o",
                         "f.safetensors", "--force")
            self.check_floats("f.safetensors")
        self.succeed("dequantize", "copy", "-o", "f.safetensors", "--force")
        self.check_floats("f.safetensors")
        # No other storage has columns of a group that lie apart, and no
        # configuration that is made says so.
        for name in ("hf", "copy"):
            for to in ("gptq", "awq", "safetensors"):
                self.fail_with(3, "convert", name, "-o", "out", "--to", to,
                               mentions=[name + ": tensor 'fc.weight'",
                                         "act order", "not lossless"])
        # As it is stored there is nothing to know.
        self.succeed("convert", "hf", "--as-stored", "-o", "stored.safetensors")
        self.assertIn("holds no quantized tensors", self.run_cli(
            "dequantize", "stored.safetensors", "-o", "y.pt").stderr)

    def test_convert_to_another_storage(self):
        tensors, _ = layer(ordered=True)
        self.write_model("ordered", tensors, desc_act=False)
        self.write("ordered/quantize_config.json", QUANTIZATION)
        self.succeed("dequantize", "ordered", "-o", "floats", "-q")
        floats = make_checkpoints.read_safetensors(
            self.path("floats/model.safetensors"))

        def check(name):
            self.succeed("dequantize", name, "-o", "f.safetensors", "-f", "-q")
            self.assertEqual(make_checkpoints.read_safetensors(
                self.path("f.safetensors")), floats)

        text = self.succeed("convert", "ordered", "-o", "awq", "--to", "awq",
                            "--verify", "all")
        self.assertRegex(text, r"(?m)^note +1 quantized tensor stored as in "
                               r"awq, with the same numbers$")
        self.assertRegex(text, r"(?m)^note .*not carried.*quantize_config")
        self.assertNotRegex(text, r"(?m)^decode ")
        quantization = self.read("awq/config.json")["quantization_config"]
        self.assertEqual(quantization["quant_method"], "awq")
        self.assertEqual(quantization["group_size"], 32)
        check("awq")
        # Plain weights need no configuration, and an old one would not be true.
        text = self.succeed("convert", "awq", "-o", "plain", "--to",
                            "safetensors")
        self.assertRegex(text, r"(?m)^note .*without the input's quantization")
        self.assertEqual(self.read("plain/config.json"), {"dtype": "float32"})
        self.assertEqual(
            list(make_checkpoints.read_safetensors(
                self.path("plain/model.safetensors"))),
            ["fc.weight.scale", "fc.weight", "fc.weight.zero_point"])
        check("plain")
        for to, name in (("torch", "x.pt"), ("mqir", "x.mqir")):
            self.succeed("convert", "ordered", "-o", name, "--to", to)
            self.assertIn("fc.weight.scale", self.succeed("inspect", name))
            check(name)
        # The same storage, with a configuration of monoquant's.
        self.succeed("convert", "ordered", "-o", "same", "--to", "gptq")
        self.assertEqual(
            self.read("same/config.json")["quantization_config"]["sym"], False)
        check("same")
        # A zero point of 0 is in no word of its own in version 1.
        self.fail_with(3, "convert", "plain", "-o", "out", "--to", "gptq",
                       mentions=["'fc.weight'", "is 0", "from 1 to 15"])
        self.fail_with(3, "convert", "awq", "-o", "out", "--to",
                       "compressed-tensors",
                       mentions=["'fc.weight'", "asymmetric", "not lossless"])
        self.assertFalse(os.path.exists(self.path("out")))

    def test_what_is_wrong_is_told(self):
        tensors, _ = layer()
        names = [tensor.name for tensor in tensors]
        for left_out in names:
            self.write_model("bad", [t for t in tensors if t.name != left_out])
            self.fail_with(6, "inspect", "bad", mentions=[
                "bad: tensor 'fc.", "fc.qweight", left_out, "missing",
                "download or copy all of it again"])
        self.write_model("bad", tensors, bits=3)
        self.fail_with(6, "dequantize", "bad", "-o", "x.pt", mentions=[
            "'fc.qweight'", "4 bits", "quantization_config says 3"])
        self.write_model("bad", tensors, checkpoint_format="marlin")
        self.fail_with(6, "quantize", "bad", "-o", "x.pt", mentions=[
            "bad/config.json", "marlin", "--as-stored"])
        self.succeed("inspect", "bad", "--as-stored")
        self.write_model("bad", tensors, quant_method="a_new_method")
        self.assertNotIn("fc.weight", self.succeed("inspect", "bad"))

    def test_groups_of_columns_are_checked_when_they_are_read(self):
        tensors, _ = layer()
        tensors[0] = tensors[0]._replace(
            data=tensors[0].data[:-4] + struct.pack("<i", GROUPS))
        self.write_model("bad", tensors)
        self.succeed("inspect", "bad")
        before = snapshot(self.folder)
        process = self.run_cli("dequantize", "bad", "-o", "x.safetensors")
        self.check_message(process, 6, ["bad: tensor 'fc.g_idx'",
                                        "column 63 is in group 2"])
        self.assertEqual(snapshot(self.folder), before)


if __name__ == "__main__":
    unittest.main()
