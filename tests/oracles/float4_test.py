"""FP4 codes and scales, and scales that are powers of two, equal those of
compressed-tensors, bit for bit.

compressed-tensors 0.20 is asked with calculate_qparams and quantize: FLOAT with
4 bits, and with scale_dtype uint8 for the MX formats (MXFP4, MXFP8). Of E5M2 with
such scales it knows nothing: the formulas of docs/quantization.md are written
down here with torch.

Understood differences, which are not compared:
  - fp16 and bf16 weights, as in float8_test.py. (For MX formats they give the
    same.)
  - largest magnitudes from 1.75 * 2^127 on: compressed-tensors gets an infinite
    power of two for them.
  - MX formats have groups of 32; the formulas are compared for other sets, too.
"""

import unittest

from tests.support import optional

optional.require_pypi()

import torch

from compressed_tensors.compressors.mx_utils import compress_mx_scale
from compressed_tensors.compressors.nvfp4.helpers import pack_fp4_to_uint8
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

from tests.oracles import codes, inputs, real_weights

E8M0 = torch.float8_e8m0fnu
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def codes_of(rows, scale, bits):
    """compressed-tensors' codes of rows that have one scale each."""
    args = QuantizationArgs(num_bits=bits, type="float", symmetric=True,
                            strategy="channel")
    if bits == 8:
        found = quantize(rows, scale[:, None], None, args,
                         dtype=torch.float8_e4m3fn)
        return found.view(torch.uint8)
    # It packs pairs.
    odd = rows.shape[1] % 2
    found = quantize(rows, scale[:, None], None, args)
    packed = pack_fp4_to_uint8(torch.nn.functional.pad(found, (0, odd)))
    found = torch.stack([packed & 15, packed >> 4], -1).flatten(1)
    return found[:, :rows.shape[1]]


def expect_float_scales(rows, bits):
    args = QuantizationArgs(num_bits=bits, type="float", symmetric=True,
                            strategy="channel")
    scale, _ = calculate_qparams(rows.amin(1), rows.amax(1), args)
    return codes_of(rows, scale, bits), scale


def expect_powers(rows, bits):
    args = QuantizationArgs(num_bits=bits, type="float", symmetric=True,
                            strategy="group", group_size=32,
                            scale_dtype=torch.uint8)
    scale, _ = calculate_qparams(rows.amin(1), rows.amax(1), args)
    stored = compress_mx_scale(scale, torch.uint8).view(E8M0)
    return codes_of(rows, scale, bits), stored


def expect_e5m2_powers(rows, _):
    """As for E4M3, but its largest number has the exponent 15."""
    magnitude = rows.abs().amax(1)
    exponent = (magnitude.view(torch.int32) + (1 << 21) >> 23) - 15
    stored = exponent.clamp(min=0).to(torch.uint8).view(E8M0)
    quotient = rows / stored.float()[:, None]
    found = quotient.clamp(-57344, 57344).to(torch.float8_e5m2)
    return found.view(torch.uint8), stored


SCHEMES = {
    "fp4_e2m1": (expect_float_scales, 4),
    "fp4_e2m1,scale_dtype=e8m0": (expect_powers, 4),
    "fp8_e4m3,scale_dtype=e8m0": (expect_powers, 8),
    "fp8_e5m2,scale_dtype=e8m0": (expect_e5m2_powers, 8),
}


class Float4Test(unittest.TestCase):

    def compare(self, tensors, granularity, schemes=tuple(SCHEMES)):
        tensors = inputs.without_overflow(tensors)
        for scheme in schemes:
            oracle, bits = SCHEMES[scheme]
            written = codes.quantize(tensors, scheme + "," + granularity)
            for name, x in tensors.items():
                rows, scale_shape, back = codes.sets(x.to(torch.float32),
                                                     granularity)
                with self.subTest(scheme=scheme, granularity=granularity,
                                  dtype=x.dtype, tensor=name):
                    expected, scale = oracle(rows, bits)
                    codes.compare(self, x, written[name], back(expected),
                                  scale, scale_shape, oracle.__name__)

    def compare_all(self, dtype):
        plain = inputs.as_dtype(
            inputs.synthetic(inputs.SHAPES + inputs.GROUPED_SHAPES), dtype)
        grouped = inputs.as_dtype(inputs.synthetic(inputs.GROUPED_SHAPES),
                                  dtype)
        for granularity in ("tensor", "axis=0", "axis=1"):
            self.compare(plain, granularity)
        for granularity in ("group=32", "group=128"):
            self.compare(grouped, granularity)

    def test_float32(self):
        self.compare_all(torch.float32)

    def test_bfloat16(self):
        self.compare_all(torch.bfloat16)

    def test_float16(self):
        self.compare_all(torch.float16)

    def test_every_boundary(self):
        """Codes, middles between them and the neighbours of both; -0; every
        bfloat16 and half to 6. The scale is exactly 1."""
        values = torch.cat([codes.near(torch.cat([E2M1, -E2M1])),
                            torch.tensor([-0.0, 1e-45, -1e-45]),
                            codes.every_half()])
        values = values[values.abs() <= 6]
        self.compare({"boundaries": values.repeat(2).reshape(2, -1)}, "tensor")

    def test_every_power(self):
        """Largest magnitudes around 1.75 times every power of two."""
        powers = 2.0 ** torch.arange(-149, 128, dtype=torch.float64)
        ends = torch.cat([powers, 1.75 * powers]).to(torch.float32)
        ends = ends[ends < 1.75 * 2.0**127]
        ends = codes.near(ends)
        ends = ends[(ends > 0) & (ends < 1.75 * 2.0**127)]
        rows = ends[:, None] * torch.linspace(-1, 1, 31)
        self.compare({"powers": rows}, "axis=0",
                     [s for s in SCHEMES if "e8m0" in s])

    def test_real_weights(self):
        real = real_weights.load()
        for granularity, size in (("tensor", 1), ("axis=0", 1),
                                  ("group=32", 32)):
            self.compare(inputs.with_rows_of(real, size), granularity)


if __name__ == "__main__":
    unittest.main()
