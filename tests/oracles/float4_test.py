"""FP4 codes and scales, and scales that are powers of two, equal those of
compressed-tensors, bit for bit.

compressed-tensors 0.20 is asked with calculate_qparams and quantize: FLOAT with
4 bits, with scale_dtype uint8 for the MX formats (MXFP4, MXFP8), and with
float8_e4m3fn and the global scale of generate_gparam for NVFP4. Of E5M2 with powers
of two it knows nothing: the formulas of docs/quantization.md are written down here
with torch.

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
from compressed_tensors.quantization.utils import (calculate_qparams,
                                                   generate_gparam)

from tests.oracles import codes, inputs, real_weights

E8M0 = torch.float8_e8m0fnu
E2M1 = torch.tensor([0, 0.5, 1, 1.5, 2, 3, 4, 6])


def codes_of(rows, scale, bits, global_scale=None):
    """compressed-tensors' codes of rows that have one scale each."""
    args = QuantizationArgs(num_bits=bits, type="float", symmetric=True,
                            strategy="channel")
    if bits == 8:
        found = quantize(rows, scale[:, None], None, args,
                         dtype=torch.float8_e4m3fn)
        return found.view(torch.uint8)
    # It packs pairs.
    odd = rows.shape[1] % 2
    found = quantize(rows, scale[:, None], None, args,
                     global_scale=global_scale)
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


def expect_below(rows, global_scale):
    """Scales of NVFP4, as they are stored, and codes."""
    args = QuantizationArgs(num_bits=4, type="float", symmetric=True,
                            strategy="tensor_group", group_size=16,
                            scale_dtype=torch.float8_e4m3fn)
    scale, _ = calculate_qparams(rows.amin(1), rows.amax(1), args, global_scale)
    return (codes_of(rows, scale, 4, global_scale),
            scale.to(torch.float8_e4m3fn))


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

    def compare_below(self, tensors, granularity="group=16"):
        """NVFP4: the groups of a tensor have a scale in common."""
        tensors = inputs.without_overflow(tensors)
        written = codes.quantize(
            tensors, "fp4_e2m1,scale_dtype=e4m3," + granularity)
        for name, x in tensors.items():
            values = x.to(torch.float32)
            rows, scale_shape, back = codes.sets(values, granularity)
            with self.subTest(granularity=granularity, dtype=x.dtype,
                              tensor=name):
                global_scale = generate_gparam(values.amin(), values.amax())
                self.assertTrue(torch.equal(
                    codes.bits(written[name].global_scale.reshape(1)),
                    codes.bits(global_scale)))
                self.assertEqual(written[name].global_scale.shape, ())
                expected, scale = expect_below(rows, global_scale)
                codes.compare(self, x, written[name], back(expected), scale,
                              scale_shape, "expect_below")

    def test_scales_below_another(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            tensors = inputs.as_dtype(
                inputs.synthetic(inputs.GROUPED_SHAPES), dtype)
            for granularity in ("group=16", "group=1", "group=128"):
                self.compare_below(tensors, granularity)

    def test_every_scale_below_another(self):
        """Groups whose largest magnitude is a number of E4M3, a middle between
        two or a neighbour of these, below one with the largest of all."""
        numbers = torch.arange(0x7f, dtype=torch.uint8)
        ends = codes.near(numbers.view(torch.float8_e4m3fn).float())
        ends = ends[(ends >= 0) & (ends <= 448)]
        rows = ends[:, None] * torch.linspace(-1, 1, 16)
        for most in (448.0, 3e-30, 0.37):
            self.compare_below({"scales": rows * (most / 448)})

    def test_real_weights(self):
        real = real_weights.load()
        self.compare_below(inputs.with_rows_of(real, 16))
        for granularity, size in (("tensor", 1), ("axis=0", 1),
                                  ("group=32", 32)):
            self.compare(inputs.with_rows_of(real, size), granularity)


if __name__ == "__main__":
    unittest.main()
