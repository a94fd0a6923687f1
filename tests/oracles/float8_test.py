"""FP8 E4M3 codes and scales equal torch's and compressed-tensors', bit for bit.

torch has no quantizer for FP8, only the cast. So the formulas of
docs/quantization.md are written down here with torch, and compressed-tensors
0.20 (calculate_qparams and quantize, FLOAT with 8 bits) is asked for its own.

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

import numpy as np
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

from tests.oracles import codes, inputs, real_weights

E4M3 = torch.float8_e4m3fn


def sets(x, granularity):
    """`x` as a matrix with a row for each scale, the shape of the scales, and
    how to get back from such a matrix."""
    if granularity == "tensor":
        return x.reshape(1, -1), [], lambda rows: rows.reshape(x.shape)
    kind, number = granularity.split("=")
    number = int(number)
    if kind == "block":
        return blocks(x, number)
    if kind == "axis":
        moved = x.movedim(number, 0)
        return (moved.reshape(moved.shape[0], -1), [moved.shape[0]],
                lambda rows: rows.reshape(moved.shape).movedim(0, number))
    row = x[0].numel()
    return (x.reshape(-1, number), [x.shape[0], row // number],
            lambda rows: rows.reshape(x.shape))


def blocks(x, size):
    """The same for blocks of a matrix; what is cut off is filled up with 0."""
    rows, columns = x.shape
    high, wide = -(-rows // size), -(-columns // size)
    padded = x.new_zeros(high * size, wide * size)
    padded[:rows, :columns] = x
    grid = padded.reshape(high, size, wide, size).transpose(1, 2)

    def back(flat):
        whole = flat.reshape(high, wide, size, size).transpose(1, 2)
        return whole.reshape(high * size, wide * size)[:rows, :columns]

    return grid.reshape(high * wide, -1), [high, wide], back


def expect_torch(rows):
    """The formulas with torch alone: codes and scales."""
    scale = rows.abs().amax(1) / 448
    scale = torch.where(scale == 0, torch.finfo(torch.float32).eps, scale)
    return (rows / scale[:, None]).clamp(-448, 448).to(E4M3), scale


def expect_compressed_tensors(rows):
    args = QuantizationArgs(num_bits=8, type="float", symmetric=True,
                            strategy="channel")
    scale, _ = calculate_qparams(rows.amin(1), rows.amax(1), args)
    return quantize(rows, scale[:, None], None, args, dtype=E4M3), scale


def every_boundary():
    """Codes, middles between them and the neighbours of both; -0; every
    bfloat16 and half to 448. The scale is exactly 1."""
    every = torch.arange(256, dtype=torch.int32).to(torch.uint8).view(E4M3)
    numbers = every.float()
    numbers = numbers[numbers.isfinite()].unique()
    middles = (numbers[1:] + numbers[:-1]) / 2
    near = torch.cat([numbers, middles]).numpy()
    near = np.concatenate([near, np.nextafter(near, np.float32(np.inf)),
                           np.nextafter(near, np.float32(-np.inf))])
    patterns = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    values = torch.cat([
        torch.from_numpy(near), torch.tensor([-0.0, 1e-45, -1e-45]),
        patterns.view(torch.bfloat16).float(),
        patterns.view(torch.float16).float()])
    values = values[values.isfinite() & (values.abs() <= 448)]
    return values.repeat(2).reshape(2, -1)


class Float8Test(unittest.TestCase):

    def compare(self, tensors, granularity):
        scheme = "fp8_e4m3," + granularity
        written = codes.quantize(tensors, scheme)
        for name, x in tensors.items():
            rows, scale_shape, back = sets(x.to(torch.float32), granularity)
            got = written[name]
            with self.subTest(scheme=scheme, dtype=x.dtype, tensor=name):
                self.assertEqual(got.codes.dtype, E4M3)
                self.assertIsNone(got.zero_point)
                for oracle in (expect_torch, expect_compressed_tensors):
                    expected, scale = oracle(rows)
                    self.assertEqual(list(got.scale.shape), scale_shape)
                    self.assertTrue(
                        torch.equal(codes.bits(got.scale).flatten(),
                                    codes.bits(scale).flatten()),
                        oracle.__name__ + ": scales differ")
                    a = got.codes.view(torch.uint8)
                    b = back(expected.view(torch.uint8))
                    wrong = (a != b).nonzero()
                    self.assertEqual(
                        len(wrong), 0, "%s: %d codes differ, first of %r" % (
                            oracle.__name__, len(wrong),
                            x[tuple(wrong[0].tolist())].item()
                            if len(wrong) else None))

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
        self.compare({"boundaries": every_boundary()}, "tensor")

    def test_real_weights(self):
        real = real_weights.load()
        for granularity, size in (("tensor", 1), ("axis=0", 1),
                                  ("group=32", 32)):
            self.compare(inputs.with_rows_of(real, size), granularity)


if __name__ == "__main__":
    unittest.main()
