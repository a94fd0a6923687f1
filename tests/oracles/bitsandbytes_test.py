"""NF4, FP4 and LLM.int8 codes and scales equal those of bitsandbytes, bit for bit.

bitsandbytes 0.50.2 is asked on the processor: of 4 bits with quantize_4bit and
dequantize_4bit. There it has no rows: rows are whole blocks here, so that its blocks
are monoquant's groups. Scales that are quantized are compared with what
quantize_blockwise makes of the same scales and the same offset. Of 8 bits with int8_vectorwise_quant and
int8_vectorwise_dequant, of matrices.
"""

import json
import os
import tempfile
import unittest

from tests.support import optional

optional.require_engines()

import safetensors.torch
import torch

import bitsandbytes.functional as bnb

from tests.oracles import codes, inputs, real_weights
from tests.support import monoquant

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


class DoubleQuantTest(unittest.TestCase):

    def compare(self, tensors, block=64, kind="nf4"):
        """Matrices, which are quantized as a model of bitsandbytes."""
        matrices = {"m%d.weight" % i: x.reshape(-1, block).contiguous()
                    for i, x in enumerate(tensors.values())}
        with tempfile.TemporaryDirectory() as folder:
            model = os.path.join(folder, "model.safetensors")
            output = os.path.join(folder, "out")
            safetensors.torch.save_file(matrices, model)
            monoquant.quantize(model, output, "--to", "bitsandbytes", "--type",
                               kind, "-g", block, "--double-quant",
                               "--min-elements", 0)
            written = safetensors.torch.load_file(
                os.path.join(output, "model.safetensors"))
            floats = os.path.join(folder, "floats.safetensors")
            monoquant.run("dequantize", "-m", output, "-o", floats, "--dtype",
                          "f32")
            decoded = safetensors.torch.load_file(floats)
        for (name, x), title in zip(matrices.items(), tensors):
            with self.subTest(tensor=title, dtype=x.dtype, block=block):
                self.check(x, name, written, decoded[name], block, kind)

    def check(self, x, name, written, decoded, block, kind):
        packed, state = bnb.quantize_4bit(x, blocksize=block, quant_type=kind,
                                          compress_statistics=True)
        self.assertTrue(torch.equal(written[name], packed))
        text = written[name + ".quant_state.bitsandbytes__" + kind]
        offset = torch.tensor(
            json.loads(bytes(text.tolist()))["nested_offset"])
        _, plain = bnb.quantize_4bit(x, blocksize=block, quant_type=kind)
        scales = plain.absmax
        self.assertTrue(torch.equal(offset, scales.double().mean().float()))
        # A mean in float32 loses a few bits, or all.
        if state.offset.isfinite():
            torch.testing.assert_close(offset, state.offset, rtol=1e-6,
                                       atol=1e-44)
        found, of_found = bnb.quantize_blockwise(scales - offset, blocksize=256)
        self.assertTrue(torch.equal(written[name + ".absmax"], found))
        self.assertTrue(torch.equal(written[name + ".nested_absmax"],
                                    of_found.absmax))
        self.assertTrue(torch.equal(written[name + ".nested_quant_map"],
                                    state.state2.code))
        # The floats that these are, for the library.
        state.absmax, state.offset = found, offset
        state.state2.absmax = of_found.absmax
        state.dtype = torch.float32
        theirs = bnb.dequantize_4bit(packed, state)
        self.assertTrue(torch.equal(codes.bits(theirs + 0.0),
                                    codes.bits(decoded + 0.0)), "values differ")

    def test_synthetic(self):
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            tensors = inputs.as_dtype(
                inputs.without_overflow(
                    inputs.synthetic([(6, 128), (300, 192)])), dtype)
            for kind in ("nf4", "fp4"):
                self.compare(tensors, kind=kind)

    def test_every_step_between_codes(self):
        """Scales all over a block's range, in blocks of every size."""
        torch.manual_seed(3)
        steps = torch.linspace(0, 2, 1 << 16)
        for size in (1.0, 0.37, 1e-30, 3e-44, 1e37):
            weights = torch.rand(1 << 16, 64) * 2 - 1
            weights[:, 0] = 1
            weights *= (steps * size).reshape(-1, 1)
            order = torch.randperm(1 << 16)
            self.compare({"%g" % size: weights[order]})

    def test_other_blocks(self):
        torch.manual_seed(5)
        weights = torch.randn(1 << 8, 1 << 13) * torch.rand(1 << 8, 1)
        for block in (128, 4096):
            self.compare({"random": weights}, block)

    def test_real_weights(self):
        tensors = real_weights.load()
        self.compare({name: x for name, x in tensors.items()
                      if x.numel() % 64 == 0})


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
