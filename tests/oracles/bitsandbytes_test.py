"""NF4 and FP4 codes and scales equal those of bitsandbytes, bit for bit.

bitsandbytes 0.50.2 is asked with quantize_4bit and dequantize_4bit, on the
processor. It has no rows: rows are whole blocks here, so that its blocks are
monoquant's groups.
"""

import unittest

from tests.support import optional

optional.require_engines()

import torch

import bitsandbytes.functional as bnb

from tests.oracles import codes, inputs, real_weights

BLOCKS = (32, 64, 128)


def unpack(packed, shape):
    """The codes of a packed tensor: two a byte, the upper half first."""
    packed = packed.flatten()
    return torch.stack([packed >> 4, packed & 15], -1).reshape(shape)


def decode(found, scale, number_format, block):
    """What monoquant's codes stand for (docs/quantization.md)."""
    table = bnb.get_4bit_type(number_format, device="cpu")
    values = table[found.long()].reshape(-1, block) * scale.reshape(-1, 1)
    return values.reshape(found.shape)


class BitsandbytesTest(unittest.TestCase):

    def compare(self, tensors, blocks=BLOCKS):
        for number_format in ("nf4", "fp4"):
            for block in blocks:
                fitting = inputs.with_rows_of(tensors, block)
                written = codes.quantize(
                    fitting, "%s,group=%d" % (number_format, block))
                for name, x in fitting.items():
                    with self.subTest(number_format=number_format, block=block,
                                      dtype=x.dtype, tensor=name):
                        self.check(x, written[name], number_format, block)

    def check(self, x, got, number_format, block):
        packed, state = bnb.quantize_4bit(x, blocksize=block,
                                          quant_type=number_format)
        rows = x[0].numel() // block
        codes.compare(self, x, got, unpack(packed, x.shape), state.absmax,
                      [x.shape[0], rows], "bitsandbytes")
        # The floats that these codes are, on both sides.
        state.dtype = torch.float32
        theirs = bnb.dequantize_4bit(packed, state).reshape(x.shape)
        ours = decode(got.codes, got.scale, number_format, block)
        self.assertTrue(torch.equal(codes.bits(theirs + 0.0),
                                    codes.bits(ours + 0.0)), "values differ")

    def compare_all(self, dtype):
        self.compare(inputs.as_dtype(inputs.synthetic(inputs.GROUPED_SHAPES),
                                     dtype))

    def test_float32(self):
        self.compare_all(torch.float32)

    def test_bfloat16(self):
        self.compare_all(torch.bfloat16)

    def test_float16(self):
        self.compare_all(torch.float16)

    def test_every_boundary(self):
        """Numbers of the tables, middles between them and the neighbours of
        both, and every bfloat16 and half to 1, with many scales."""
        tables = torch.cat([bnb.get_4bit_type(f, device="cpu")
                            for f in ("nf4", "fp4")])
        values = torch.cat([codes.near(tables), torch.tensor([-0.0, 1e-45]),
                            codes.every_half()])
        values = values[values.abs() <= 1]
        values = torch.nn.functional.pad(values, (0, -len(values) % 63))
        groups = torch.cat([torch.ones(len(values) // 63, 1),
                            values.reshape(-1, 63)], 1)
        for scale in (1.0, 3.0, 0.7, 1e-3, 1e-30, 1e-38, 3e-39, 1e-44, 3e38):
            self.compare({"boundaries": groups * scale}, (64,))

    def test_real_weights(self):
        self.compare(real_weights.load())


if __name__ == "__main__":
    unittest.main()
