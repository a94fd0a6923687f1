"""NF4, FP4 and LLM.int8 codes and scales equal those of bitsandbytes, bit for bit.

bitsandbytes 0.50.2 is asked on the processor: of 4 bits with quantize_4bit and
dequantize_4bit. There it has no rows: rows are whole blocks here, so that its blocks
are monoquant's groups. Of 8 bits with int8_vectorwise_quant and
int8_vectorwise_dequant, of matrices.
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


class LlmInt8Test(unittest.TestCase):

    def compare(self, tensors):
        written = codes.quantize(tensors, "llm_int8")
        for name, x in tensors.items():
            with self.subTest(dtype=x.dtype, tensor=name):
                self.check(x, written[name])

    def check(self, x, got):
        rows = x.reshape(x.shape[0], -1)
        theirs, scales, _ = bnb.int8_vectorwise_quant(rows.clone())
        codes.compare(self, x, got, theirs.view(torch.uint8).reshape(x.shape),
                      scales, [x.shape[0]], "bitsandbytes")
        # The floats that these codes are, on both sides. Where the product of
        # code and scale is beyond float32, both are infinite.
        expected = bnb.int8_vectorwise_dequant(theirs, scales)
        values = (got.codes.reshape(rows.shape).float()
                  * got.scale.reshape(-1, 1)) * (1 / 127)
        self.assertTrue(torch.equal(codes.bits(expected + 0.0),
                                    codes.bits(values + 0.0)),
                        "values differ")

    def compare_all(self, dtype):
        self.compare(inputs.as_dtype(inputs.synthetic(inputs.SHAPES), dtype))

    def test_float32(self):
        self.compare_all(torch.float32)

    def test_bfloat16(self):
        self.compare_all(torch.bfloat16)

    def test_float16(self):
        self.compare_all(torch.float16)

    def test_every_boundary(self):
        """Codes, middles between them and the neighbours of both, and every
        bfloat16 and half to 1, with many scales, those included that 127 cannot
        be divided by."""
        values = torch.cat([codes.near(torch.arange(-127, 128) / 127),
                            torch.tensor([-0.0, 1e-45]), codes.every_half()])
        values = values[values.abs() <= 1]
        values = torch.nn.functional.pad(values, (0, -len(values) % 63))
        rows = torch.cat([torch.ones(len(values) // 63, 1),
                          values.reshape(-1, 63)], 1)
        scales = [1.0, 3.0, 0.7, 127.0, 254.0, 1e-3, 1e-30, 1e-36, 3.8e-37,
                  3.7e-37, 1e-38, 3e-39, 1e-44, 2.6e36, 2.7e36, 3e38]
        self.compare({str(scale): rows * scale for scale in scales})

    def test_scales_of_every_size(self):
        """A million of them, each with a tie that its rounding decides."""
        torch.manual_seed(7)
        scales = torch.exp2(torch.rand(1 << 20, 1) * 250 - 124)
        self.compare({"scales": torch.cat([scales, scales * (0.5 / 127),
                                           scales * (-62.5 / 127)], 1)})

    def test_real_weights(self):
        self.compare(real_weights.load())


if __name__ == "__main__":
    unittest.main()
