"""Runs monoquant over float tensors and unpacks what it wrote."""

import os
import tempfile
from typing import NamedTuple

import safetensors.torch
import torch

from tests.support import monoquant


class Codes(NamedTuple):
    codes: torch.Tensor  # of the tensor's own shape, one code an element
    scale: torch.Tensor
    zero_point: torch.Tensor  # None where the format has none
    global_scale: torch.Tensor = None  # of nvfp4


def unpack4(packed, shape, signed):
    """The codes of a 4-bit tensor: two a byte, the low half first, by rows."""
    rows = packed.reshape(shape[0], -1)
    codes = torch.stack([rows & 15, rows >> 4], dim=-1).reshape(shape[0], -1)
    codes = codes[:, : torch.Size(shape[1:]).numel()].reshape(shape)
    codes = codes.to(torch.int8)
    return torch.where(codes > 7, codes - 16, codes) if signed else codes


def quantize(tensors, scheme):
    """Quantizes {name: tensor}, all of them by `scheme`; {name: Codes}."""
    with tempfile.TemporaryDirectory() as folder:
        model = os.path.join(folder, "in.safetensors")
        output = os.path.join(folder, "out.safetensors")
        safetensors.torch.save_file(tensors, model)
        monoquant.quantize(model, output, "--rule", "*=" + scheme)
        written = safetensors.torch.load_file(output)
    result = {}
    for name, tensor in tensors.items():
        codes = written[name]
        zero_point = written.get(name + ".zero_point")
        if codes.dtype == torch.uint8 and not scheme.startswith("uint8"):
            codes = unpack4(codes, tensor.shape, scheme.startswith("int4"))
        result[name] = Codes(codes, written[name + ".scale"], zero_point,
                             written.get(name + ".global_scale"))
    return result


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


def bits(tensor):
    """A float tensor's bit patterns: tells -0 from 0, and NaN equals NaN."""
    integer = {4: torch.int32, 2: torch.int16,
               1: torch.uint8}[tensor.element_size()]
    return tensor.contiguous().view(integer)


def differences(x, got, expected):
    """Compares two Codes of `x`; returns lines that say what differs."""
    lines = []
    for field in Codes._fields:
        a, b = getattr(got, field), getattr(expected, field)
        if a is None and b is None:
            continue
        # A zero point of a symmetric scheme is stored once for all.
        if field == "zero_point" and a.dim() == 0:
            a = a.expand(b.shape)
        if a.shape != b.shape:
            lines.append("%s: shape %s, expected %s"
                         % (field, a.shape, b.shape))
            continue
        if field == "scale" and a.dtype != b.dtype:
            lines.append("scale: %s, expected %s" % (a.dtype, b.dtype))
            continue
        if field == "scale":
            wrong = (bits(a) != bits(b)).nonzero()
        else:
            wrong = (a.to(torch.int64) != b.to(torch.int64)).nonzero()
        if len(wrong):
            at = tuple(wrong[0].tolist())
            of = " of %r" % x[at].item() if field == "codes" else ""
            lines.append(
                "%s: %d of %d differ, first at %s%s: got %r, expected %r"
                % (field, len(wrong), b.numel(), list(at), of, a[at].item(),
                   b[at].item())
            )
    return lines


def compare(test, x, got, expected, scale, scale_shape, oracle):
    """Fails `test` where the Codes `got` of `x` have not these codes (uint8, of
    its shape) and scales (in any shape, but that of `got` is `scale_shape`)."""
    test.assertIsNone(got.zero_point)
    test.assertEqual(list(got.scale.shape), scale_shape)
    test.assertEqual(got.scale.dtype, scale.dtype)
    test.assertTrue(torch.equal(bits(got.scale).flatten(),
                                bits(scale).flatten()),
                    oracle + ": scales differ")
    wrong = (got.codes.view(torch.uint8) != expected).nonzero()
    if len(wrong):
        at = tuple(wrong[0].tolist())
        test.fail("%s: %d codes differ, first of %r at %s: got %r, expected %r"
                  % (oracle, len(wrong), x[at].item(), list(at),
                     got.codes[at].item(), expected[at].item()))


def near(numbers):
    """float32 numbers, the middles between them and the neighbours of both."""
    numbers = numbers.to(torch.float32).unique()
    values = torch.cat([numbers, (numbers[1:] + numbers[:-1]) / 2])
    infinity = torch.tensor(float("inf"))
    return torch.cat([values, values.nextafter(infinity),
                      values.nextafter(-infinity)])


def every_half():
    """Every bfloat16 and every half that is finite, as float32."""
    patterns = torch.arange(2**16, dtype=torch.int32).to(torch.int16)
    values = torch.cat([patterns.view(torch.bfloat16).float(),
                        patterns.view(torch.float16).float()])
    return values[values.isfinite()]
