"""--convention compressed-tensors equals compressed-tensors 0.20, bit for bit.

The oracle is that library's calculate_qparams and quantize, for INT4 and INT8,
per tensor, channel and group.

Understood differences, which are not compared:
  - fp16 and bf16 weights: compressed-tensors computes in the weight's own type,
    monoquant always in float32. The oracle gets the float32 values.
  - ranges beyond float32: see inputs.without_overflow.
"""

import unittest

from tests.support import optional

optional.require_pypi()

import torch
from compressed_tensors.quantization import QuantizationArgs
from compressed_tensors.quantization.lifecycle.forward import quantize
from compressed_tensors.quantization.utils import calculate_qparams

from tests.oracles import codes, inputs, real_weights


def expect(x, bits, granularity, symmetric, scale_dtype=torch.float32):
    """What compressed-tensors makes of `x`, with scales rounded to a type."""
    x = x.to(torch.float32)
    # The library knows matrices; so do all but the first dimension here.
    rows = x.reshape(x.shape[0], -1)
    options = {"num_bits": bits, "type": "int", "symmetric": symmetric}
    if granularity == "tensor":
        args = QuantizationArgs(strategy="tensor", **options)
        sets, shape = rows.reshape(1, -1), []
    elif granularity == "axis=0":
        args = QuantizationArgs(strategy="channel", **options)
        sets, shape = rows, [x.shape[0]]
    else:
        size = int(granularity[len("group="):])
        args = QuantizationArgs(strategy="group", group_size=size, **options)
        sets = rows.reshape(-1, size)
        shape = [x.shape[0], rows.shape[1] // size]
    scale, zero_point = calculate_qparams(sets.amin(1), sets.amax(1), args)
    scale = scale.to(scale_dtype)
    # One column a group, as the library lays out the parameters of a layer.
    layout = [1] if granularity == "tensor" else [x.shape[0], -1]
    q = quantize(rows, scale.reshape(layout), zero_point.reshape(layout), args,
                 dtype=torch.int8)
    return codes.Codes(q.reshape(x.shape), scale.reshape(shape),
                       zero_point.reshape(shape))


class CompressedTensorsTest(unittest.TestCase):

    def compare(self, tensors, bits, granularity, symmetric,
                scale_dtype=torch.float32):
        scheme = "int%d,%s,%s,convention=compressed-tensors" % (
            bits, granularity, "symmetric" if symmetric else "asymmetric")
        if scale_dtype != torch.float32:
            scheme += ",scale_dtype=" + str(scale_dtype).split(".")[1]
        got = codes.quantize(tensors, scheme)
        for name, x in tensors.items():
            expected = expect(x, bits, granularity, symmetric, scale_dtype)
            lines = codes.differences(x, got[name], expected)
            if lines:
                with self.subTest(scheme=scheme, dtype=x.dtype, tensor=name):
                    self.fail("; ".join(lines))

    def compare_all(self, bits):
        plain = inputs.synthetic(inputs.SHAPES + inputs.GROUPED_SHAPES)
        grouped = inputs.synthetic(inputs.GROUPED_SHAPES)
        real = real_weights.load()
        for symmetric in (True, False):
            for granularity, size in (("tensor", 1), ("axis=0", 1),
                                      ("group=32", 32), ("group=128", 128)):
                synthetic = grouped if size > 1 else plain
                for dtype in (torch.float32, torch.bfloat16):
                    tensors = inputs.as_dtype(synthetic, dtype)
                    if not symmetric:
                        tensors = inputs.without_overflow(tensors)
                    self.compare(tensors, bits, granularity, symmetric)
                self.compare(inputs.with_rows_of(real, size), bits, granularity,
                             symmetric)

    def test_scales_of_sixteen_bits(self):
        """Asymmetric zero points follow from the scale before it is rounded
        there, and after it here."""
        real = inputs.with_rows_of(real_weights.load(), 32)
        for scale_dtype in (torch.bfloat16, torch.float16):
            for bits, granularity in ((4, "group=32"), (8, "axis=0")):
                self.compare(real, bits, granularity, True, scale_dtype)

    def test_int4(self):
        self.compare_all(4)

    def test_int8(self):
        self.compare_all(8)


if __name__ == "__main__":
    unittest.main()
