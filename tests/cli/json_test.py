"""Every --json document fits its schema in docs/schemas and says what happened.
"""

import hashlib
import json
import os
import unittest

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import DOCS, CliTestCase


SCHEMAS = DOCS / "schemas"


class JsonTest(CliTestCase):

    def setUp(self):
        super().setUp()
        self.tensors = make_checkpoints.model()
        make_checkpoints.write_torch(self.path("model.pt"), self.tensors)

    def document(self, schema, *args, exit_code=0):
        """The one document that a command prints, checked."""
        process = self.run_cli(*args, "--json")
        self.assertEqual(process.returncode, exit_code, process.stderr)
        document = json.loads(process.stdout)
        json_schema.check(document,
                          json_schema.load(SCHEMAS / (schema + ".json")))
        return document

    def test_result(self):
        for bits in ("8", "4", "16"):
            result = self.document("result", "quantize", "model.pt", "-o",
                                   bits + ".pt", "-b", bits)
            self.assertEqual(result["command"], "quantize")
            self.assertEqual(result["output"]["bytes"],
                             os.path.getsize(self.path(bits + ".pt")))
            self.assertEqual(result["input"]["bytes"],
                             os.path.getsize(self.path("model.pt")))
            summary = result["summary"]
            self.assertEqual((summary["tensors"], summary["quantized"],
                              summary["copied"]), (6, 2, 4))
            rows = {row["name"]: row for row in result["tensors"]}
            worst = min(("fc1.weight", "fc2.weight"),
                        key=lambda name: rows[name]["sqnr_db"])
            self.assertEqual(summary["sqnr_db"]["worst_tensor"], worst)
            self.assertEqual(summary["sqnr_db"]["min"], rows[worst]["sqnr_db"])
        again = self.document("result", "quantize", "8.pt", "-o", "again.pt")
        self.assertEqual(again["summary"]["decoded"], 2)
        self.document("result", "dequantize", "8.pt", "-o", "floats.pt")
        mqir = self.document("result", "convert", "8.pt", "-o", "8.mqir")
        self.assertIsNone(mqir["output"]["load"])

    def test_compare(self):
        self.succeed("quantize", "model.pt", "-o", "q.pt", "-b", "4")
        result = self.document("compare", "compare", "model.pt", "q.pt")
        self.assertIsNone(result["gate"])
        self.assertEqual(len(result["tensors"]), 5)
        self.assertEqual(result["summary"]["compared"], 6)
        self.assertEqual(result["summary"]["identical"], 4)
        result = self.document("compare", "compare", "model.pt", "q.pt",
                               "--top", "1", "--fail-under", "1")
        self.assertEqual(len(result["tensors"]), 1)
        self.assertEqual(result["gate"], {"fail_under": 1.0, "passed": True})
        # A gate that is not passed gives the same document and no second one.
        result = self.document("compare", "compare", "model.pt", "q.pt",
                               "--fail-under", "100", exit_code=4)
        self.assertFalse(result["gate"]["passed"])

    def test_inspect(self):
        document = self.document("inspect", "inspect", "model.pt")
        self.assertEqual(document["container"], "torch")
        self.assertIsNone(document["quantization"])
        self.assertEqual([row["name"] for row in document["tensors"]],
                         [tensor.name for tensor in self.tensors])
        self.succeed("quantize", "model.pt", "-o", "q.pt")
        document = self.document("inspect", "inspect", "q.pt")
        rows = document["quantization"]["tensors"]
        self.assertEqual([row["name"] for row in rows],
                         ["fc1.weight", "fc2.weight"])
        self.assertEqual(rows[0]["scheme"]["format"], "int8")

    def test_inspect_hash_is_exactly_this(self):
        make_checkpoints.write_safetensors(
            self.path("m.safetensors"), self.tensors, {"format": "pt"})
        expected = [
            {
                "name": tensor.name,
                "dtype": tensor.dtype,
                "shape": list(tensor.shape),
                "bytes": len(tensor.data),
                "sha256": hashlib.sha256(tensor.data).hexdigest(),
            }
            for tensor in self.tensors
        ]
        for name, container, metadata in (
                ("model.pt", "torch", {}),
                ("m.safetensors", "safetensors", {"format": "pt"})):
            self.assertEqual(
                self.document("inspect", "inspect", name, "--hash"),
                {"container": container, "metadata": metadata,
                 "tensors": expected})

    def test_plan(self):
        self.document("plan", "plan", "model.pt", "-b", "4")
        self.assertEqual(
            self.document("plan", "plan", "model.pt"),
            self.document("plan", "quantize", "model.pt", "--dry-run"))
        self.assertEqual(os.listdir(self.folder), ["model.pt"])

    def test_layer_types(self):
        for command in ("plan", "inspect"):
            rows = self.document(command, command, "model.pt")["tensors"]
            self.assertEqual(
                [row.get("layer_type") for row in rows],
                ["Embedding", "Linear", None, None, "Linear", None], command)
        self.succeed("quantize", "model.pt", "-o", "q.safetensors",
                     "--layer-types", "linear,LSTM")
        with open(self.path("q.safetensors"), "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            header = json.loads(file.read(size))
        recipe = json.loads(header["__metadata__"]["monoquant"])["recipe"]
        self.assertEqual(recipe["layer_types"], ["Linear", "LSTM"])
        json_schema.check(recipe, json_schema.load(SCHEMAS / "recipe.json"))

    def test_every_format(self):
        """Schemes of every number format fit, also in the record of a file."""
        for number_format, *more in (
                ("int8",), ("uint8",), ("int4",), ("uint4",), ("fp16",),
                ("bf16",), ("fp8_e4m3",), ("fp8_e5m2",), ("nf4",), ("fp4",),
                ("llm_int8",), ("fp4_e2m1",), ("fp4_e2m1", "--scale-dtype", "e8m0"),
                ("fp8_e4m3", "--scale-dtype", "e8m0")):
            with self.subTest(number_format, more=more):
                flags = ("--type", number_format, *more)
                self.document("plan", "plan", "model.pt", *flags)
                self.document("result", "quantize", "model.pt", "-o",
                              "q.safetensors", "-f", *flags)
                document = self.document("inspect", "inspect", "q.safetensors")
                row = document["quantization"]["tensors"][0]
                self.assertEqual(row["scheme"]["format"], number_format)
                with open(self.path("q.safetensors"), "rb") as file:
                    size = int.from_bytes(file.read(8), "little")
                    header = json.loads(file.read(size))
                record = json.loads(header["__metadata__"]["monoquant"])
                for value, schema in ((record, "quant_record"),
                                      (record["recipe"], "recipe")):
                    json_schema.check(value, json_schema.load(
                        SCHEMAS / (schema + ".json")))

    def test_double_quantization(self):
        flags = ("model.pt", "--to", "bitsandbytes", "-o", "nested",
                 "--double-quant")
        for command in ("plan", "result"):
            rows = self.document(
                command, "plan" if command == "plan" else "quantize",
                *flags)["tensors"]
            self.assertEqual([row.get("double_quant") for row in rows
                              if row["action"] == "quantize"], [True])
        document = self.document("inspect", "inspect", "nested")
        for row in document["quantization"]["tensors"]:
            self.assertEqual(row["storage"], "bitsandbytes-nested")

    def test_error(self):
        for exit_code, code, args in (
                (2, "UsageError", ["quantize", "model.pt", "--bits", "9"]),
                (2, "UsageError", ["quantise"]),
                (3, "CannotQuantizeError",
                 ["quantize", "model.pt", "-o", "o.pt", "-g", "48"]),
                (5, "NotFoundError", ["inspect", "nowhere.pt"]),
                (5, "AlreadyExistsError",
                 ["quantize", "model.pt", "-o", "model.pt"])):
            document = self.document("error", *args, exit_code=exit_code)
            self.assertEqual(document["error"]["exit"], exit_code)
            self.assertEqual(document["error"]["code"], code)

    def test_the_checker_can_fail(self):
        schema = json_schema.load(SCHEMAS / "error.json")
        good = {"schema": "monoquant/error/1",
                "error": {"code": "A", "exit": 5, "message": ""}}
        good["error"]["code"] = "NotFoundError"
        json_schema.check(good, schema)
        for path, value in ((("schema",), "monoquant/error/2"),
                            (("error", "exit"), 9),
                            (("error", "exit"), "5"),
                            (("error", "code"), "not_found"),
                            (("error", "more"), 1),
                            (("error",), None)):
            bad = json.loads(json.dumps(good))
            target = bad
            for step in path[:-1]:
                target = target[step]
            target[path[-1]] = value
            with self.assertRaises(json_schema.Invalid, msg=path):
                json_schema.check(bad, schema)
        with self.assertRaises(json_schema.Invalid):
            json_schema.check({"schema": "monoquant/error/1"}, schema)


if __name__ == "__main__":
    unittest.main()
