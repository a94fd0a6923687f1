"""Codes, scales and zero points equal torch's, bit for bit.

The oracle is torch.ao.quantization's MinMaxObserver and
PerChannelMinMaxObserver with quantize_per_tensor and quantize_per_channel. For
4 bits, for which torch has no storage type, it is the same observers with a
range of 16 codes, and the same kernels clamped to that range.

Understood differences, which are not compared:
  - float64 weights: torch quantizes float32 only, monoquant rounds float64 to
    float32 first. The oracle gets the rounded values.
  - uint4 symmetric: see SYMMETRIC_UINT4.
  - ranges beyond float32: see inputs.without_overflow.
"""

import unittest
import warnings

from tests.support import optional

optional.require_pypi()

import torch

from torch.ao.quantization import MinMaxObserver, PerChannelMinMaxObserver

from tests.oracles import codes, inputs, real_weights

warnings.filterwarnings("ignore")  # torch.ao is deprecated, and no less exact

DTYPES = [torch.float32, torch.float16, torch.bfloat16, torch.float64]

# torch's observer with a custom unsigned range of 16 codes takes (0 + 15) // 2
# = 7 as the zero point of a symmetric scheme, and 128 for its own range of 256.
# monoquant has 8 and 128: the code of zero is the same as in int4 and int8.
SYMMETRIC_UINT4 = 8

RANGES = {
    "int8": (torch.qint8, -128, 127),
    "uint8": (torch.quint8, 0, 255),
    "int4": (torch.qint8, -8, 7),
    "uint4": (torch.quint8, 0, 15),
}


def observe(x, axis, number_format, symmetric):
    """Runs torch's observer for one tensor; returns (scale, zero_point)."""
    dtype, low, high = RANGES[number_format]
    options = {"dtype": dtype}
    if number_format.endswith("4"):
        options.update(quant_min=low, quant_max=high)
    if axis is None:
        observer = MinMaxObserver(
            qscheme=torch.per_tensor_symmetric if symmetric
            else torch.per_tensor_affine, **options)
    else:
        observer = PerChannelMinMaxObserver(
            ch_axis=axis,
            qscheme=torch.per_channel_symmetric if symmetric
            else torch.per_channel_affine, **options)
    observer(x)
    scale, zero_point = observer.calculate_qparams()
    if number_format == "uint4" and symmetric:
        zero_point = torch.full_like(zero_point, SYMMETRIC_UINT4)
    return scale, zero_point


def encode(x, axis, number_format, scale, zero_point):
    """Codes by torch's own kernels."""
    dtype, low, high = RANGES[number_format]
    if axis is None:
        q = torch.quantize_per_tensor(x, scale.item(), zero_point.item(), dtype)
    else:
        q = torch.quantize_per_channel(x, scale, zero_point, axis, dtype)
    # torch has clamped to 8 bits; the narrower range lies within.
    return q.int_repr().clamp(low, high)


def expect(x, granularity, number_format, symmetric):
    """What torch makes of `x` under this scheme."""
    x = x.to(torch.float32)
    if granularity == "tensor":
        axis, view = None, x
    elif granularity.startswith("axis="):
        axis, view = int(granularity[5:]), x
    else:
        axis, view = 0, x.reshape(-1, group_size(granularity))
    scale, zero_point = observe(view, axis, number_format, symmetric)
    q = encode(view, axis, number_format, scale, zero_point).reshape(x.shape)
    if granularity == "tensor":
        scale, zero_point = scale.reshape([]), zero_point.reshape([])
    elif granularity.startswith("group="):
        scale = scale.reshape(x.shape[0], -1)
        zero_point = zero_point.reshape(x.shape[0], -1)
    return codes.Codes(q, scale, zero_point)


def group_size(granularity):
    return int(granularity[6:]) if granularity.startswith("group=") else 1


class TorchObserversTest(unittest.TestCase):
    """One test a number format; sub-tests over everything else."""

    def compare(self, tensors, granularity, number_format, symmetric):
        scheme = "%s,%s,%s" % (
            number_format, granularity,
            "symmetric" if symmetric else "asymmetric")
        got = codes.quantize(tensors, scheme)
        for name, x in tensors.items():
            expected = expect(x, granularity, number_format, symmetric)
            lines = codes.differences(x, got[name], expected)
            if lines:
                with self.subTest(scheme=scheme, dtype=x.dtype, tensor=name):
                    self.fail("; ".join(lines))

    def compare_all(self, number_format):
        plain = inputs.synthetic(inputs.SHAPES + inputs.GROUPED_SHAPES)
        grouped = inputs.synthetic(inputs.GROUPED_SHAPES)
        # Other input types differ in how they become float32, no more.
        few = inputs.synthetic([(6, 128)])
        real = real_weights.load()
        for symmetric in (True, False):
            for granularity in ("tensor", "axis=0", "axis=1", "group=32",
                                "group=128"):
                for dtype in DTYPES:
                    tensors = grouped if "group" in granularity else plain
                    tensors = inputs.as_dtype(
                        tensors if dtype == torch.float32 else few, dtype)
                    if not symmetric:
                        tensors = inputs.without_overflow(tensors)
                    self.compare(tensors, granularity, number_format, symmetric)
                self.compare(
                    inputs.with_rows_of(real, group_size(granularity)),
                    granularity, number_format, symmetric)

    def test_int8(self):
        self.compare_all("int8")

    def test_uint8(self):
        self.compare_all("uint8")

    def test_int4(self):
        self.compare_all("int4")

    def test_uint4(self):
        self.compare_all("uint4")

    def test_overflowing_range(self):
        """Where torch's scale is infinite, monoquant's codes still count."""
        x = torch.tensor([[-3.3e38, 0.0, 1e38, 3.3e38]])
        got = codes.quantize({"x": x}, "int8,tensor,asymmetric")["x"]
        decoded = (got.codes - got.zero_point.float()) * got.scale
        self.assertTrue(torch.all((decoded - x).abs() <= got.scale))


if __name__ == "__main__":
    unittest.main()
