"""A torch tensor as inspect reports it: dtype, shape and bytes."""

import hashlib

import torch

# Spelling in safetensors, and monoquant's where safetensors has none.
SPELLING = {
    torch.bool: "BOOL", torch.uint8: "U8", torch.int8: "I8",
    torch.uint16: "U16", torch.int16: "I16", torch.uint32: "U32",
    torch.int32: "I32", torch.uint64: "U64", torch.int64: "I64",
    torch.float16: "F16", torch.bfloat16: "BF16", torch.float32: "F32",
    torch.float64: "F64", torch.complex32: "C32", torch.complex64: "C64",
    torch.complex128: "C128", torch.float8_e4m3fn: "F8_E4M3",
    torch.float8_e5m2: "F8_E5M2", torch.float8_e4m3fnuz: "F8_E4M3FNUZ",
    torch.float8_e5m2fnuz: "F8_E5M2FNUZ", torch.float8_e8m0fnu: "F8_E8M0",
    torch.float4_e2m1fn_x2: "F4", torch.qint8: "QI8", torch.quint8: "QU8",
    torch.qint32: "QI32", torch.bits8: "BITS8", torch.bits16: "BITS16",
    torch.bits1x8: "BITS1X8", torch.bits2x4: "BITS2X4",
    torch.bits4x2: "BITS4X2",
}


def raw(tensor):
    """The contiguous little-endian bytes of a tensor, as a numpy array."""
    tensor = tensor.detach()
    if tensor.is_quantized:
        tensor = tensor.int_repr()
    tensor = tensor.resolve_conj().resolve_neg().contiguous()
    return tensor.reshape(-1).view(torch.uint8).numpy()


def shape_of(tensor):
    shape = list(tensor.shape)
    # torch counts pairs of 4-bit floats, safetensors and monoquant the floats.
    if tensor.dtype == torch.float4_e2m1fn_x2:
        shape[-1] *= 2
    return shape


def describe(name, tensor):
    """The entry of `inspect --json --hash` for a tensor."""
    data = raw(tensor)
    return {
        "name": name,
        "dtype": SPELLING[tensor.dtype],
        "shape": shape_of(tensor),
        "bytes": data.size,
        "sha256": hashlib.sha256(data).hexdigest(),
    }
