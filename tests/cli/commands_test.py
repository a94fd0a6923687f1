"""What each command does when all is well, as a user at a prompt sees it."""

import os
import re
import struct
import subprocess
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import DOCS, PROGRAM, CliTestCase, environment

COMMANDS = ("quantize", "plan", "inspect", "compare", "dequantize", "convert",
            "verify")


class CommandsTest(CliTestCase):

    def setUp(self):
        super().setUp()
        self.tensors = make_checkpoints.model()
        make_checkpoints.write_torch(self.path("model.pt"), self.tensors)

    def read(self, name):
        return make_checkpoints.read_safetensors(self.path(name))

    def test_help(self):
        overview = self.succeed("--help")
        self.assertEqual(overview, self.succeed("help"))
        for command in COMMANDS:
            self.assertIn("\n  " + command, overview)
            text = self.succeed(command, "--help")
            self.assertIn("Examples:\n  monoquant " + command, text)
            self.assertEqual(text, self.succeed("help", command))
            for line in text.splitlines():
                self.assertLessEqual(len(line), 100, line)

    def test_the_document_has_every_flag_and_example(self):
        document = (DOCS / "cli.md").read_text(encoding="utf-8")
        for command in COMMANDS:
            text = self.succeed(command, "--help")
            examples = text.split("Examples:\n")[1].splitlines()
            for example in examples:
                self.assertIn("\n" + example.strip() + "\n", document)
            flags = re.findall(r"(?m)^  (?:-\w,)?(--[a-z-]+)", text)
            self.assertIn("--model" if command != "compare" else "--top", flags)
            for flag in flags:
                self.assertRegex(document, "`%s[` ]" % flag)

    def test_version(self):
        self.assertRegex(self.succeed("--version"),
                         r"^monoquant [0-9]+\.[0-9]+\.[0-9]+\n$")

    def test_summary(self):
        text = self.succeed("quantize", "--model", "model.pt", "--output",
                            "model_int8.pt", "--bits", "8")
        self.assertRegex(text, r"(?m)^read +model\.pt  torch, 6 tensors, ")
        self.assertRegex(text, r"(?m)^plan +2 quantized to int8 axis 0 "
                               r"symmetric, 4 copied$")
        self.assertRegex(text, r"(?m)^wrote +model_int8\.pt  torch, .* smaller")
        self.assertRegex(text, r"(?m)^quality +SQNR [0-9.]+ dB mean, [0-9.]+ dB "
                               r"worst \(fc[12]\.weight\)$")
        self.assertRegex(text, r'(?m)^load .*torch\.load\("model_int8\.pt", '
                               r'weights_only=True\)$')

    def test_default_output(self):
        self.succeed("quantize", "model.pt")
        self.succeed("quantize", "model.pt", "--type", "bf16", "--to",
                     "safetensors")
        os.mkdir(self.path("elsewhere"))
        self.succeed("dequantize", "../model_int8.pt",
                     cwd=self.path("elsewhere"))
        self.assertEqual(
            sorted(os.listdir(self.folder)),
            ["elsewhere", "model.pt", "model_bf16.safetensors", "model_int8.pt",
             "model_int8_float.pt"])

    def test_paths_are_taken_from_where_the_user_stands(self):
        os.mkdir(self.path("user"))
        os.rename(self.path("model.pt"), self.path("user", "model.pt"))
        os.mkdir(self.path("runfiles"))
        self.succeed(
            "quantize", "--model", "model.pt", "--output", "model_int8.pt",
            "--bits", "8", cwd=self.path("runfiles"),
            env=environment(BUILD_WORKING_DIRECTORY=self.path("user")))
        self.assertEqual(os.listdir(self.path("runfiles")), [])
        self.assertEqual(sorted(os.listdir(self.path("user"))),
                         ["model.pt", "model_int8.pt"])

    def test_force(self):
        with open(self.path("out.pt"), "wb") as file:
            file.write(b"old")
        self.succeed("quantize", "model.pt", "-o", "out.pt", "--force")
        self.assertGreater(os.path.getsize(self.path("out.pt")), 3)

    def test_quiet(self):
        process = self.run_cli("quantize", "model.pt", "-q")
        self.assertEqual(
            (process.returncode, process.stdout, process.stderr), (0, "", ""))

    def test_dry_run_writes_nothing(self):
        text = self.succeed("quantize", "model.pt", "--dry-run")
        self.assertEqual(os.listdir(self.folder), ["model.pt"])
        self.assertEqual(text, self.succeed("plan", "model.pt"))
        self.assertRegex(text, r"(?m)^fc1\.weight +F32 +\[32, 64\] +int8 axis 0 "
                               r"symmetric +\S")
        self.assertRegex(text, r"(?m)^embed\.weight .* copied +embedding")

    def test_the_first_rule_that_matches_wins(self):
        """Rules of the command line in their order, then those of the file."""
        with open(self.path("recipe.json"), "w") as file:
            file.write('{"defaults": "int4", "rules": ['
                       '{"match": "fc2.*", "scheme": "fp16"},'
                       '{"match": "fc1.weight", "scheme": "bf16"}]}')

        def schemes(*flags):
            text = self.succeed("plan", "model.pt", *flags)
            return re.findall(r"(?m)^fc[12]\.weight .*\]  (\S+)", text)

        file = ("--recipe", "recipe.json")
        self.assertEqual(schemes(*file), ["bf16", "fp16"])
        self.assertEqual(schemes(*file, "--skip", "fc1.*"), ["copied", "fp16"])
        self.assertEqual(schemes(*file, "--rule", "fc1.*=uint8", "--skip",
                                 "fc*"), ["uint8", "copied"])
        self.assertEqual(schemes(*file, "--skip", "fc*", "--rule",
                                 "fc1.*=uint8", "--allow-unmatched"),
                         ["copied", "copied"])
        self.assertEqual(schemes("--only", "fc2.weight"), ["copied", "int8"])

    def test_layer_types(self):
        text = self.succeed("plan", "model.pt", "--layer-types", "conv2d,LSTM",
                            "--rule", "fc2.weight=int4")
        self.assertRegex(text, r"(?m)^fc1\.weight .* copied +layer type Linear$")
        self.assertRegex(text, r"(?m)^fc2\.weight .* int4 .* rule fc2\.weight")
        text = self.succeed("plan", "model.pt", "--layer-types", "Embedding")
        self.assertRegex(text, r"(?m)^embed\.weight .* int8 axis 0 symmetric")
        self.fail_with(2, "plan", "model.pt", "--layer-types", "Dense",
                       mentions=["'Dense'", "Linear, TransposedLinear"])

    def test_inspect(self):
        text = self.succeed("inspect", "model.pt")
        self.assertTrue(text.startswith("model.pt  torch, 6 tensors, "))
        self.assertRegex(text, r"(?m)^fc1\.weight +F32 +\[32, 64\] +8\.0 KiB$")
        self.assertEqual(text, self.succeed("info", "model.pt"))
        text = self.succeed("inspect", "model.pt", "--tensors", "fc*.bias")
        self.assertNotIn("fc1.weight", text)
        self.assertIn("fc1.bias", text)
        self.fail_with(2, "inspect", "model.pt", "--tensors", "x*",
                       mentions=["model.pt", "x*"])

    def test_inspect_of_a_quantized_file(self):
        self.succeed("quantize", "model.pt")
        text = self.succeed("inspect", "model_int8.pt")
        self.assertRegex(text, r"(?m)^fc1\.weight +I8 .* int8 axis 0 symmetric "
                               r"of F32 \[32, 64\]$")
        self.assertRegex(text, r"(?m)^fc1\.weight\.scale .* scale of fc1\.weight$")

    def test_compare(self):
        self.succeed("quantize", "model.pt", "--bits", "4")
        text = self.succeed("compare", "model.pt", "model_int4.pt")
        rows = re.findall(r"(?m)^(fc\S+|embed\S+|norm\S+) .*?  ([0-9.]+ dB|exact)",
                          text)
        self.assertEqual([name for name, _ in rows[2:]],
                         ["embed.weight", "fc1.bias", "norm.weight"])
        worst = [float(db.split()[0]) for _, db in rows[:2]]
        self.assertEqual(worst, sorted(worst))
        top = self.succeed("diff", "model.pt", "model_int4.pt", "--top", "1")
        self.assertIn("and 4 with less error", top)

    def test_compare_lists_what_cannot_be_compared(self):
        other = [t._replace(shape=(1,) + t.shape) if t.name == "fc1.bias" else t
                 for t in self.tensors if t.name != "norm.weight"]
        other.append(make_checkpoints.normal("new.weight", (2, 2)))
        other = [t._replace(data=struct.pack("<q", 8)) if t.name == "steps" else t
                 for t in other]
        make_checkpoints.write_safetensors(self.path("b.safetensors"), other)
        text = self.succeed("compare", "model.pt", "b.safetensors")
        for line in ("missing   norm.weight", "extra     new.weight",
                     "different steps",
                     "mismatch  fc1.bias: F32 [32] and F32 [1, 32]"):
            self.assertIn(line + "\n", text)
        self.fail_with(4, "compare", "model.pt", "b.safetensors", "--fail-under",
                       "10", mentions=["b.safetensors", "norm.weight"],
                       stdout=None)

    def test_dequantize(self):
        self.succeed("quantize", "model.pt")
        self.succeed("dequantize", "model_int8.pt", "-o", "f.safetensors")
        floats = self.read("f.safetensors")
        self.assertEqual(
            {(t.name, t.dtype, t.shape) for t in self.tensors},
            {(t.name, t.dtype, t.shape) for t in floats.values()})
        for tensor in self.tensors:
            if tensor.name not in ("fc1.weight", "fc2.weight"):
                self.assertEqual(floats[tensor.name].data, tensor.data)
        self.succeed("compare", "f.safetensors", "model_int8.pt",
                     "--fail-under", "1000")
        self.succeed("dequantize", "model_int8.pt", "-o", "h.safetensors",
                     "--dtype", "f16")
        halves = self.read("h.safetensors")
        self.assertEqual(halves["fc1.weight"].dtype, "F16")
        self.assertEqual(halves["fc1.bias"].dtype, "F32")

    def test_convert_keeps_every_bit(self):
        """Around through every container: codes and record stay."""
        self.succeed("quantize", "model.pt", "-o", "q.safetensors")
        self.succeed("convert", "q.safetensors", "-o", "q.mqir")
        self.succeed("convert", "q.mqir", "-o", "q.pt")
        self.succeed("convert", "q.pt", "-o", "again.safetensors")
        self.assertEqual(self.read("again.safetensors"),
                         self.read("q.safetensors"))
        self.succeed("dequantize", "again.safetensors", "-o", "a.safetensors")
        self.succeed("dequantize", "q.safetensors", "-o", "b.safetensors")
        self.assertEqual(self.read("a.safetensors"), self.read("b.safetensors"))

    def test_float8(self):
        """FP8 with scales is known as our own in every container."""
        self.succeed("quantize", "model.pt", "--type", "fp8_e4m3", "-o",
                     "q.safetensors", "--verify", "all")
        self.succeed("convert", "q.safetensors", "-o", "q.mqir")
        self.succeed("convert", "q.mqir", "-o", "q.pt")
        self.succeed("convert", "q.pt", "-o", "again.safetensors")
        self.assertEqual(self.read("again.safetensors"),
                         self.read("q.safetensors"))
        self.assertEqual(self.read("q.safetensors")["fc1.weight"].dtype,
                         "F8_E4M3")
        for quantized in ("q.safetensors", "q.mqir", "q.pt"):
            text = self.succeed("inspect", quantized)
            self.assertRegex(text, r"(?m)^fc1\.weight +F8_E4M3 .* fp8_e4m3 "
                                   r"axis 0 of F32 \[32, 64\]$")
            self.assertRegex(
                text, r"(?m)^fc1\.weight\.scale .* scale of fc1\.weight$")
            self.assertNotIn("zero_point", text)
            self.succeed("compare", "model.pt", quantized, "--fail-under", "28")
            self.succeed("dequantize", quantized, "-o", "f.safetensors", "-f")
            self.assertEqual(self.read("f.safetensors")["fc1.weight"].dtype,
                             "F32")
            self.assertNotIn("fc1.weight.scale", self.read("f.safetensors"))
            text = self.succeed("quantize", quantized, "-o", "x.pt", "-f")
            self.assertIn("quantized already, back to floats", text)
        self.fail_with(2, "quantize", "model.pt", "--type", "fp8_e4m3",
                       "--scheme", "asymmetric",
                       mentions=["--scheme asymmetric", "fp8_e4m3"])
        self.fail_with(2, "quantize", "model.pt", "--rule",
                       "fc1.*=fp8_e4m3,convention=torch",
                       mentions=["convention torch", "fp8_e4m3", "leave it out"])

    def test_four_bits_that_are_no_integers(self):
        """NF4, MXFP4 and NVFP4 are known as our own in every container."""
        for flags, scheme, scale in (
                (["nf4"], "nf4 group 64", "F32"),
                (["fp4_e2m1", "--scale-dtype", "e8m0"],
                 "fp4_e2m1 group 32, F8_E8M0 scales", "F8_E8M0"),
                (["mxfp4"], "fp4_e2m1 group 32, F8_E8M0 scales", "F8_E8M0"),
                (["nvfp4"], "fp4_e2m1 group 16, F8_E4M3 scales", "F8_E4M3")):
            with self.subTest(scheme):
                self.succeed("quantize", "model.pt", "--bits", "4", "--type",
                             *flags, "-o", "q.safetensors", "-f", "--verify",
                             "all")
                self.succeed("convert", "q.safetensors", "-o", "q.mqir", "-f")
                self.succeed("convert", "q.mqir", "-o", "q.pt", "-f")
                self.succeed("convert", "q.pt", "-o", "again.safetensors", "-f")
                state = self.read("q.safetensors")
                self.assertEqual(self.read("again.safetensors"), state)
                self.assertEqual(state["fc1.weight"].dtype, "U8")
                self.assertEqual(state["fc1.weight.scale"].dtype, scale)
                for quantized in ("q.safetensors", "q.mqir", "q.pt"):
                    text = self.succeed("inspect", quantized)
                    self.assertRegex(text, r"(?m)^fc1\.weight +U8 .* " + scheme
                                     + r" of F32 \[32, 64\]$")
                    self.succeed("compare", "model.pt", quantized,
                                 "--fail-under", "15")
                    self.succeed("dequantize", quantized, "-o", "f.safetensors",
                                 "-f")
                    self.assertEqual(
                        self.read("f.safetensors")["fc1.weight"].dtype, "F32")
        self.fail_with(2, "quantize", "model.pt", "--type", "nf4",
                       "--convention", "torch",
                       mentions=["--convention torch", "nf4", "leave it out"])
        self.fail_with(2, "quantize", "model.pt", "--scale-dtype", "e8m0",
                       mentions=["scales of int8 cannot be F8_E8M0"])
        self.fail_with(2, "quantize", "model.pt", "--type", "nvfp4", "-g", "32",
                       mentions=["--group-size is part of --type nvfp4"])

    def test_double_quantization(self):
        """Scales that are quantized are told of, kept, and decoded."""
        flags = ("--to", "bitsandbytes", "--double-quant", "-o", "nested")
        text = self.succeed("plan", "model.pt", *flags)
        self.assertIn("nf4 group 64, double quant", text)
        text = self.succeed("quantize", "model.pt", *flags, "--verify", "all")
        self.assertIn("quantized to nf4 group 64, double quant", text)
        state = self.read("nested/model.safetensors")
        self.assertEqual(state["fc1.weight.absmax"].dtype, "U8")
        self.assertEqual(state["fc1.weight.nested_absmax"].shape, (1,))
        self.succeed("convert", "nested", "-o", "q.mqir")
        for quantized in ("nested", "q.mqir"):
            self.assertRegex(
                self.succeed("inspect", quantized),
                r"(?m)^fc1\.weight +U8 .* nf4 group 64, double quant of F32 "
                r"\[32, 64\]$")
            self.succeed("compare", "model.pt", quantized, "--fail-under", "15")
            self.succeed("dequantize", quantized, "-o",
                         quantized + ".safetensors")
        floats = self.read("nested.safetensors")
        self.assertEqual(self.read("q.mqir.safetensors"), floats)
        # In another storage a scale is what its code stands for.
        self.succeed("convert", "nested", "--to", "bitsandbytes", "-o", "plain")
        state = self.read("plain/model.safetensors")
        self.assertEqual(state["fc1.weight.absmax"].dtype, "F32")
        self.succeed("dequantize", "plain", "-o", "f.safetensors")
        self.assertEqual(self.read("f.safetensors"), floats)
        self.fail_with(2, "quantize", "model.pt", "--double-quant",
                       mentions=["--double-quant", "int8", "--to bitsandbytes"])
        self.fail_with(2, "quantize", "model.pt", "--type", "nf4",
                       "--double-quant", "-o", "x.safetensors",
                       mentions=["plain has no place for scales that are "
                                 "quantized", "use --to bitsandbytes"])

    def test_llm_int8(self):
        """Codes of a byte with scales of rows and no zero points."""
        text = self.succeed("plan", "model.pt", "--bits", "8", "--type",
                            "llm_int8")
        self.assertIn("llm_int8 axis 0", text)
        self.succeed("quantize", "model.pt", "--type", "llm_int8", "-o",
                     "q.safetensors", "--verify", "all")
        self.succeed("convert", "q.safetensors", "-o", "q.mqir")
        self.succeed("convert", "q.mqir", "-o", "q.pt")
        self.succeed("convert", "q.pt", "-o", "again.safetensors")
        state = self.read("q.safetensors")
        self.assertEqual(self.read("again.safetensors"), state)
        self.assertEqual(state["fc1.weight"].dtype, "I8")
        self.assertEqual(state["fc1.weight.scale"].shape, (32,))
        self.assertNotIn("fc1.weight.zero_point", state)
        for quantized in ("q.safetensors", "q.mqir", "q.pt"):
            self.assertRegex(
                self.succeed("inspect", quantized),
                r"(?m)^fc1\.weight +I8 .* llm_int8 axis 0 of F32 \[32, 64\]$")
            self.succeed("compare", "model.pt", quantized, "--fail-under", "35")
        for flags in (("--granularity", "tensor"), ("-g", "64"),
                      ("--granularity", "axis", "--axis", "1")):
            self.fail_with(2, "quantize", "model.pt", "--type", "llm_int8",
                           *flags, mentions=["llm_int8", "axis 0"])
        self.fail_with(2, "quantize", "model.pt", "--type", "llm_int8",
                       "--scheme", "asymmetric",
                       mentions=["--scheme asymmetric", "llm_int8"])
        self.fail_with(2, "quantize", "model.pt", "--bits", "4", "--type",
                       "llm_int8", mentions=["--bits 4 contradicts"])

    def test_link(self):
        text = self.succeed("convert", "model.pt", "-o", "m.mqir", "--link")
        self.assertIn("weights stay in model.pt", text)
        self.succeed("compare", "model.pt", "m.mqir", "--fail-under", "1000")
        self.fail_with(2, "convert", "model.pt", "-o", "m.pt", "--link",
                       mentions=["m.pt", "--link"])
        os.mkdir(self.path("far"))
        self.fail_with(2, "convert", "model.pt", "-o", "far/m.mqir", "--link",
                       mentions=["far/m.mqir", "beside"])
        # The original is an input too, however little of it is named.
        self.fail_with(5, "quantize", "m.mqir", "-o", "model.pt", "--force",
                       mentions=["model.pt", "is the input"])

    def test_quantizing_twice(self):
        """Codes are decoded first, and the summary says so."""
        self.succeed("quantize", "model.pt")
        text = self.succeed("quantize", "model_int8.pt", "-o", "twice.pt",
                            "--bits", "4")
        self.assertRegex(text, r"(?m)^decode +2 tensors, quantized already")
        self.assertRegex(text, r"(?m)^plan .* quantized to int4 group")
        self.succeed("compare", "model.pt", "twice.pt", "--fail-under", "10")

    def test_threads_and_pieces_do_not_change_the_output(self):
        make_checkpoints.write_safetensors(
            self.path("large.safetensors"),
            [make_checkpoints.normal("w%d" % i, (64, 1200)) for i in range(3)])
        outputs = set()
        for threads, chunk in ((1, "64K"), (3, "64K"), (2, "8M")):
            self.succeed("quantize", "large.safetensors", "-o", "o.pt", "-f",
                         "-T", threads, "--chunk-size", chunk)
            with open(self.path("o.pt"), "rb") as file:
                outputs.add(file.read())
        self.assertEqual(len(outputs), 1)

    def test_nothing_to_quantize(self):
        make_checkpoints.write_torch(self.path("small.pt"),
                                     [make_checkpoints.normal("b", (3,))])
        self.assertIn("no tensor was quantized",
                      self.succeed("quantize", "small.pt"))

    def test_a_reader_that_has_seen_enough(self):
        """As `monoquant inspect ... | head`: ends quietly."""
        make_checkpoints.write_torch(
            self.path("many.pt"),
            [make_checkpoints.normal("tensor.%d" % i, (2,)) for i in range(9999)])
        process = subprocess.Popen(
            [PROGRAM, "inspect", "many.pt"], cwd=self.folder, env=environment(),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        process.stdout.close()
        self.assertEqual(process.stderr.read(), b"")
        process.stderr.close()
        self.assertEqual(process.wait(), -13)  # SIGPIPE

    def test_a_full_standard_output(self):
        with open("/dev/full", "wb") as full:
            process = subprocess.run(
                [PROGRAM, "inspect", "model.pt"], cwd=self.folder,
                env=environment(), stdout=full, stderr=subprocess.PIPE,
                encoding="utf-8")
        self.check_message(process, 5, ["standard output"])


if __name__ == "__main__":
    unittest.main()
