"""fp16 and bf16 casts equal torch's, bit for bit.

Understood differences, which are not compared:
  - The payload of a NaN: torch's differs between its own vector and scalar
    loops. A NaN must stay a NaN.
  - float64 to 16 bits goes through float32 in torch and in monoquant alike:
    nothing to exclude, but it is not the nearest value in rare cases.
"""

import os
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import torch

import numpy as np
import safetensors.torch

from tests.support import monoquant

ALL_16_BIT = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
ALL_HALFS = ALL_16_BIT.view(torch.float16)
ALL_BFLOATS = ALL_16_BIT.view(torch.bfloat16)


def neighbours(x):
    """`x` with the next float32 below and above each value."""
    x = x.numpy()
    with np.errstate(invalid="ignore"):
        below = np.nextafter(x, np.float32(-np.inf))
        above = np.nextafter(x, np.float32(np.inf))
    return torch.from_numpy(np.concatenate([below, x, above]))


def midpoints(values):
    """The half-way points of all neighbouring 16-bit values, as float32.

    Exact: 16-bit formats leave room for one more bit. Between the largest value
    and infinity lies the point where rounding begins to overflow.
    """
    finite = values[values.isfinite()].to(torch.float64).unique()
    largest = finite[-1]
    step = largest - finite[-2]
    finite = torch.cat([-(largest + step).reshape(1), finite,
                        (largest + step).reshape(1)])
    return ((finite[:-1] + finite[1:]) / 2).to(torch.float32)


def float32_values():
    rng = np.random.default_rng(16)
    patterns = rng.integers(0, 2**32, 1_000_000, dtype=np.uint32)
    spread = rng.standard_normal(200_000)
    spread *= np.exp(rng.uniform(-20, 12, 200_000))
    special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45, 2.0**-126,
               3.4028235e38, -3.4028235e38, 65504.0, 65519.996, 65520.0,
               65536.0]
    return {
        "random_bits": torch.from_numpy(patterns.view(np.float32)),
        "random_spread": torch.from_numpy(spread.astype(np.float32)),
        "halfs": neighbours(ALL_HALFS.to(torch.float32)),
        "bfloats": neighbours(ALL_BFLOATS.to(torch.float32)),
        "half_midpoints": neighbours(midpoints(ALL_HALFS)),
        "bfloat_midpoints": neighbours(midpoints(ALL_BFLOATS)),
        "special": torch.tensor(special, dtype=torch.float32),
        # So short that no vector loop runs.
        "scalar": torch.tensor([1.0 + 2.0**-11], dtype=torch.float32),
    }


class CastsTest(unittest.TestCase):

    def compare(self, tensors, number_format):
        dtype = {"fp16": torch.float16, "bf16": torch.bfloat16}[number_format]
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "in.safetensors")
            output = os.path.join(folder, "out.safetensors")
            safetensors.torch.save_file(tensors, model)
            monoquant.quantize(model, output, "--rule", "*=" + number_format,
                               "--nonfinite", "keep")
            written = safetensors.torch.load_file(output)
        for name, x in tensors.items():
            with self.subTest(tensor=name, to=number_format, of=x.dtype):
                got, expected = written[name], x.to(dtype)
                self.assertEqual(got.dtype, dtype)
                self.assertTrue(torch.equal(got.isnan(), expected.isnan()))
                number = ~expected.isnan()
                wrong = (got.view(torch.int16) != expected.view(torch.int16))
                at = (wrong & number).nonzero().flatten()
                self.assertEqual(
                    len(at), 0, "%d differ, first %r: got %r, expected %r" % (
                        len(at), x[at[:1]], got[at[:1]], expected[at[:1]]))

    def test_float32(self):
        for number_format in ("fp16", "bf16"):
            self.compare(float32_values(), number_format)

    def test_float64(self):
        rng = np.random.default_rng(64)
        patterns = rng.integers(0, 2**64, 100_000, dtype=np.uint64)
        values = {name: x.to(torch.float64)
                  for name, x in float32_values().items()}
        values["random_bits_64"] = torch.from_numpy(patterns.view(np.float64))
        values["near_midpoints"] = torch.cat(
            [midpoints(ALL_HALFS), midpoints(ALL_BFLOATS)]
        ).to(torch.float64) * (1 + 2.0**-40)
        for number_format in ("fp16", "bf16"):
            self.compare(values, number_format)

    def test_all_halfs_to_bf16(self):
        self.compare({"halfs": ALL_HALFS}, "bf16")

    def test_all_bfloats_to_fp16(self):
        self.compare({"bfloats": ALL_BFLOATS}, "fp16")


if __name__ == "__main__":
    unittest.main()
