"""The numbers of `compare` equal numpy's, and the worst tensor comes first.

SQNR, mean squared error, cosine and largest error are computed here from the
float values of both files, read with stock libraries. The sums are rounded in
another order and partly in float, hence six digits.
"""

import math
import os
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import torch

import numpy as np

from tests.interop import decode, stock, torch_checkpoints
from tests.support import monoquant

SCHEMES = (["--bits", "8"], ["--bits", "4"],
           ["--bits", "4", "--scheme", "asymmetric"],
           ["--type", "bf16"], ["--type", "fp8_e4m3"], ["--type", "fp4"],
           ["--type", "llm_int8"])


def measure(a, b):
    """The numbers for an original `a` and its approximation `b`."""
    a, b = (t.detach().double().numpy().ravel() for t in (a, b))
    signal, noise = float(a @ a), float((a - b) @ (a - b))
    norms = math.sqrt(signal) * math.sqrt(float(b @ b))
    sqnr = math.inf
    if noise > 0:
        sqnr = 10 * math.log10(signal / noise) if signal > 0 else -math.inf
    return {
        "sqnr_db": sqnr,
        "mse": noise / a.size if a.size else 0.0,
        "cosine": float(a @ b) / norms if norms else 1.0,
        "max_abs_error": float(np.abs(a - b).max()) if a.size else 0.0,
    }


class CompareTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def check(self, original, state, quantized):
        document = monoquant.run_json("compare", original, quantized)
        decoded = decode.decode_all(decode.load(quantized))
        rows = {row["name"]: row for row in document["tensors"]}
        floats = {name: t for name, t in state.items()
                  if t.dtype in decode.FLOATS.values()}
        self.assertEqual(set(rows), set(floats))
        for name, tensor in floats.items():
            expected = measure(tensor, decoded[name])
            for key, value in expected.items():
                got = rows[name][key]
                if math.isinf(value):
                    self.assertIsNone(got, "%s %s" % (name, key))
                    continue
                self.assertTrue(
                    math.isclose(got, value, rel_tol=1e-6, abs_tol=1e-12),
                    "%s %s: got %r, expected %r" % (name, key, got, value))
        # No number: without any error.
        order = [math.inf if row["sqnr_db"] is None else row["sqnr_db"]
                 for row in document["tensors"]]
        self.assertEqual(order, sorted(order))

    def test_numbers(self):
        quantized = os.path.join(self.folder, "quantized.pt")
        for build in (torch_checkpoints.state_dict_of_modules,
                      torch_checkpoints.state_dict_of_recurrent_layers,
                      torch_checkpoints.half_and_bfloat,
                      torch_checkpoints.tied_weights):
            torch.manual_seed(1)
            path = build(os.path.join(self.folder, build.__name__))
            state = stock.load_flat(path)
            for scheme in SCHEMES:
                with self.subTest(build.__name__, scheme=scheme):
                    monoquant.quantize(path, quantized, *scheme)
                    self.check(path, state, quantized)

    def test_equal_files(self):
        path = torch_checkpoints.plain_dict(os.path.join(self.folder, "a"))
        document = monoquant.run_json("compare", path, path)
        for row in document["tensors"]:
            self.assertIsNone(row["sqnr_db"])
            self.assertEqual((row["mse"], row["max_abs_error"]), (0, 0))


if __name__ == "__main__":
    unittest.main()
