"""An output directory has the same files, with the same bytes, from the command
line and from WebAssembly under Node.

Every format that is a directory, of models with and without shards and
configuration, of a file, and of what was quantized already; with pieces of
64 KiB and 8 MiB. And the same errors.
"""

import os
import pathlib
import tempfile
import unittest

from tests.parity.directories import (
    MIB, Case, all_cases, make_models, quantized_cases, read)
from tests.support import monoquant, wasm_module

_RUNNER = pathlib.Path(__file__).with_name("run_directories.mjs")


class DirectoriesTest(unittest.TestCase):
    maxDiff = 2000

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.models = make_models(cls.folder)

    def native(self, case, output):
        command, *rest = case.arguments
        return monoquant.run_json(
            command, "-m", case.input, "-o", output, *rest, "--chunk-size",
            case.chunk_bytes)

    def wasm(self, cases, outputs):
        return wasm_module.run(_RUNNER, self.folder, cases=[
            {"name": case.name, "input": case.input, "output": output,
             "request": case.request, "chunkBytes": case.chunk_bytes}
            for case, output in zip(cases, outputs)])

    def check_all(self, cases):
        with tempfile.TemporaryDirectory() as folder:
            outputs = [os.path.join(folder, str(i)) for i in range(len(cases))]
            found = self.wasm(cases, outputs)
            for case, output in zip(cases, outputs):
                with self.subTest(case.name):
                    self.assertNotIn("error", found[case.name])
                    native = output + " native"
                    report = self.native(case, native)
                    self.check(native, output)
                    for note in found[case.name]["notes"]:
                        self.assertIn(note, report["notes"])

    def check(self, native, wasm):
        expected, found = read(native), read(wasm)
        self.assertEqual(sorted(found), sorted(expected))
        for name, data in expected.items():
            self.assertEqual(found[name], data, name)

    def test_the_same_files(self):
        self.check_all(all_cases(self.models))

    def test_of_what_is_quantized(self):
        self.models["small"] = os.path.join(self.folder, "small")
        monoquant.quantize(self.models["shards"], self.models["small"], "--to",
                           "compressed-tensors")
        self.check_all(quantized_cases(self.models))

    def test_the_same_errors(self):
        case = Case("bad config", self.models["bad_config"],
                    ("quantize", "--to", "compressed-tensors"),
                    {"format": "compressed-tensors"}, 8 * MIB)
        output = os.path.join(self.folder, "nothing")
        with self.assertRaises(monoquant.Failed) as failed:
            self.native(case, output)
        found = self.wasm([case], [output])
        self.assertIn("config.json", found[case.name]["error"])
        self.assertIn(found[case.name]["error"], failed.exception.message)
        self.assertFalse(os.path.exists(output))


if __name__ == "__main__":
    unittest.main()
