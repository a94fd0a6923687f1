"""One sha256 for each scheme and input type, wherever it is made.

Natively with 1 and 2 threads and every instruction set of the machine, as
WebAssembly under Node, and with pieces of 64 KiB and 8 MiB the bytes are those
of goldens.json, which are checked in: so they cannot drift unnoticed either.
tests/README.md says how to renew them.
"""

import json
import tempfile
import unittest

from tests.parity import cases, run

KIB, MIB = 1024, 1024 * 1024


class ParityTest(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = folder.name
        cls.inputs = cases.make_inputs(cls.folder)
        cls.cases = cases.all_cases()
        cls.goldens = json.loads(run.GOLDENS.read_text())

    def check(self, found):
        self.assertEqual(found, self.goldens)

    def check_native(self, threads, chunk_bytes):
        self.check(run.native(self.cases, self.inputs, self.folder, threads,
                              chunk_bytes))

    def test_native_1_thread_64_kib(self):
        self.check_native(1, 64 * KIB)

    def test_native_1_thread_8_mib(self):
        self.check_native(1, 8 * MIB)

    def test_native_2_threads_64_kib(self):
        self.check_native(2, 64 * KIB)

    def test_native_2_threads_8_mib(self):
        self.check_native(2, 8 * MIB)

    def test_every_instruction_set(self):
        sets = run.instruction_sets()
        self.assertIn("scalar", sets)
        for simd in sets:
            with self.subTest(simd=simd):
                self.check(run.native(self.cases, self.inputs, self.folder, 2,
                                      1 * MIB, simd))

    def check_wasm(self, chunk_bytes):
        self.check(run.wasm(self.cases, self.inputs, self.folder, chunk_bytes))

    def test_wasm_64_kib(self):
        self.check_wasm(64 * KIB)

    def test_wasm_8_mib(self):
        self.check_wasm(8 * MIB)


if __name__ == "__main__":
    unittest.main()
