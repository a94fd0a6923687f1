"""FP8 codes and scales equal torch's and compressed-tensors', bit for bit.

torch has no quantizer for FP8, only the casts. So the formulas of
docs/quantization.md are written down here with torch, and for E4M3
compressed-tensors 0.20 (calculate_qparams and quantize, FLOAT with 8 bits) is
asked for its own.

Understood differences, which are not compared:
  - fp16 and bf16 weights: compressed-tensors computes in the weight's own type,
    monoquant always in float32. Both oracles get the float32 values.
  - compressed-tensors is given no zero point, as for the symmetric schemes that
    it writes. With one it would add 0, and lose the sign of a -0.
"""

import unittest

from tests.support import optional

optional.require_pypi()

import torch

from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

from tests.oracles import codes, inputs, real_weights

E4M3 = torch.float8_e4m3fn
E5M2 = torch.float8_e5m2
DTYPES = {"fp8_e4m3": E4M3, "fp8_e5m2": E5M2}


def expect_torch(rows, dtype):
    """The formulas with torch alone: codes and scales."""
    most = torch.finfo(dtype).max
    scale = rows.abs().amax(1) / most
    scale = torch.where(scale == 0, torch.finfo(torch.float32).eps, scale)
    return (rows / scale[:, None]).clamp(-most, most).to(dtype), scale


def expect_compressed_tensors(rows, dtype):
    args = QuantizationArgs(num_bits=8, type="float", symmetric=True,
                            strategy="channel")
    scale, _ = calculate_qparams(rows.amin(1), rows.amax(1), args)
    return quantize(rows, scale[:, None], None, args, dtype=dtype), scale


def every_boundary(dtype):
    """Codes, middles between them and the neighbours of both; -0; every
    bfloat16 and half that is in range. The scale is exactly 1."""
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8).view(dtype)
    numbers = every.float()
    values = torch.cat([codes.near(numbers[numbers.isfinite()]),
                        torch.tensor([-0.0, 1e-45, -1e-45]),
                        codes.every_half()])
    values = values[values.abs() <= torch.finfo(dtype).max]
    return values.repeat(2).reshape(2, -1)


class Float8Test(unittest.TestCase):

    def compare(self, tensors, granularity, formats=("fp8_e4m3", "fp8_e5m2")):
        for number_format in formats:
            scheme = number_format + "," + granularity
            dtype = DTYPES[number_format]
            oracles = [expect_torch]
            if dtype == E4M3:
                oracles.append(expect_compressed_tensors)
            written = codes.quantize(tensors, scheme)
            for name, x in tensors.items():
                rows, scale_shape, back = codes.sets(x.to(torch.float32),
                                                     granularity)
                got = written[name]
                with self.subTest(scheme=scheme, dtype=x.dtype, tensor=name):
                    self.assertEqual(got.codes.dtype, dtype)
                    for oracle in oracles:
                        expected, scale = oracle(rows, dtype)
                        codes.compare(self, x, got,
                                      back(expected.view(torch.uint8)), scale,
                                      scale_shape, oracle.__name__)

    def compare_all(self, dtype):
        plain = inputs.as_dtype(
            inputs.synthetic(inputs.SHAPES + inputs.GROUPED_SHAPES), dtype)
        grouped = inputs.as_dtype(inputs.synthetic(inputs.GROUPED_SHAPES),
                                  dtype)
        for granularity in ("tensor", "axis=0", "axis=1"):
            self.compare(plain, granularity)
        for granularity in ("group=32", "group=128"):
            self.compare(grouped, granularity)
        matrices = {name: x for name, x in plain.items() if x.dim() == 2}
        for granularity in ("block=32", "block=128"):
            self.compare(matrices, granularity)

    def test_float32(self):
        self.compare_all(torch.float32)

    def test_bfloat16(self):
        self.compare_all(torch.bfloat16)

    def test_float16(self):
        self.compare_all(torch.float16)

    def test_every_boundary(self):
        for number_format, dtype in DTYPES.items():
            self.compare({"boundaries": every_boundary(dtype)}, "tensor",
                         (number_format,))

    def test_real_weights(self):
        real = real_weights.load()
        for granularity, size in (("tensor", 1), ("axis=0", 1),
                                  ("group=32", 32)):
            self.compare(inputs.with_rows_of(real, size), granularity)


if __name__ == "__main__":
    unittest.main()
