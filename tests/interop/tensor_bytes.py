"""A torch tensor as inspect reports it: dtype, shape and bytes."""

import hashlib
from typing import NamedTuple

import torch


class Bytes(NamedTuple):
    """Stands for a tensor of a type that torch does not have."""
    dtype: str
    shape: list
    data: bytes


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
    torch.bits4x2: "BITS4X2", torch.uint1: "U1", torch.uint2: "U2",
    torch.uint3: "U3", torch.uint4: "U4", torch.uint5: "U5", torch.uint6: "U6",
    torch.uint7: "U7", torch.int1: "I1", torch.int2: "I2", torch.int3: "I3",
    torch.int4: "I4", torch.int5: "I5", torch.int6: "I6", torch.int7: "I7",
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
    if not isinstance(tensor, Bytes):
        tensor = Bytes(SPELLING[tensor.dtype], shape_of(tensor),
                       raw(tensor).tobytes())
    return {
        "name": name,
        "dtype": tensor.dtype,
        "shape": tensor.shape,
        "bytes": len(tensor.data),
        "sha256": hashlib.sha256(tensor.data).hexdigest(),
    }
