"""Checkpoints made with the standard library alone: no torch, no numpy."""

import collections
import contextlib
import io
import json
import math
import pickle
import random
import struct
import sys
import types
import zipfile
from typing import NamedTuple

# safetensors' spelling -> (bytes an element, torch's storage class).
_TYPES = {
    "F64": (8, "DoubleStorage"),
    "F32": (4, "FloatStorage"),
    "F16": (2, "HalfStorage"),
    "BF16": (2, "BFloat16Storage"),
    "I64": (8, "LongStorage"),
    "I32": (4, "IntStorage"),
    "U8": (1, "ByteStorage"),
    "BOOL": (1, "BoolStorage"),
}


class Tensor(NamedTuple):
    name: str
    dtype: str
    shape: tuple
    data: bytes


def floats(name, shape, values):
    """An F32 tensor of the given values."""
    return Tensor(name, "F32", shape, struct.pack("<%df" % len(values), *values))


def normal(name, shape, seed=1):
    """An F32 tensor of normally distributed values, the same in every run."""
    source = random.Random("%s %d" % (name, seed))
    count = math.prod(shape)
    return floats(name, shape, [source.gauss(0, 1) for _ in range(count)])


def model():
    """A small network: two weights to quantize, and all that is not."""
    return [
        normal("embed.weight", (16, 64)),
        normal("fc1.weight", (32, 64)),
        normal("fc1.bias", (32,)),
        normal("norm.weight", (32,)),
        normal("fc2.weight", (48, 32)),
        Tensor("steps", "I64", (), struct.pack("<q", 7)),
    ]


def write_safetensors(path, tensors, metadata=None, sparse=False):
    """Writes a safetensors file. sparse: the payload is a hole, all zero."""
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for tensor in tensors:
        size = math.prod(tensor.shape) * _TYPES[tensor.dtype][0]
        header[tensor.name] = {
            "dtype": tensor.dtype,
            "shape": list(tensor.shape),
            "data_offsets": [offset, offset + size],
        }
        offset += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        if sparse:
            file.truncate(8 + len(text) + offset)
        else:
            file.writelines(tensor.data for tensor in tensors)
    return path


def write_sparse(path, gib, tensors=1):
    """A safetensors file of `gib` GiB of F32 zeros that takes no disk space."""
    elements = int(gib * 2**30) // 4 // tensors
    columns = 4096
    return write_safetensors(
        path,
        [
            Tensor("layers.%d.weight" % i, "F32", (elements // columns, columns), b"")
            for i in range(tensors)
        ],
        sparse=True,
    )


class _Pickler(pickle.Pickler):
    """Writes storages as torch does: by reference into the archive."""

    def persistent_id(self, obj):
        if isinstance(obj, _Storage):
            return ("storage", obj.kind, obj.key, "cpu", obj.elements)
        return None


class _Storage(NamedTuple):
    kind: type
    key: str
    elements: int


class _TorchTensor:
    def __init__(self, rebuild, storage, shape):
        self._state = (rebuild, storage, shape)

    def __reduce__(self):
        rebuild, storage, shape = self._state
        stride = [math.prod(shape[i + 1 :]) for i in range(len(shape))]
        hooks = collections.OrderedDict()
        return rebuild, (storage, 0, tuple(shape), tuple(stride), False, hooks)


@contextlib.contextmanager
def _torch_names():
    """Modules with the names that torch's pickles mention, for the pickler."""

    def _rebuild_tensor_v2():
        pass

    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    _rebuild_tensor_v2.__module__ = "torch._utils"
    _rebuild_tensor_v2.__qualname__ = "_rebuild_tensor_v2"
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    for _, storage in _TYPES.values():
        setattr(torch, storage, type(storage, (), {"__module__": "torch"}))
    names = {"torch": torch, "torch._utils": utils}
    saved = {name: sys.modules.get(name) for name in names}
    sys.modules.update(names)
    try:
        yield torch, _rebuild_tensor_v2
    finally:
        for name, module in saved.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def write_torch(path, tensors):
    """Writes a state dict as torch.save does: a zip archive with a pickle."""
    storages = {}
    state = collections.OrderedDict()
    text = io.BytesIO()
    with _torch_names() as (torch, rebuild):
        for i, tensor in enumerate(tensors):
            size, kind = _TYPES[tensor.dtype]
            storages[str(i)] = tensor.data
            storage = _Storage(
                getattr(torch, kind), str(i), len(tensor.data) // size
            )
            state[tensor.name] = _TorchTensor(rebuild, storage, tensor.shape)
        _Pickler(text, protocol=2).dump(state)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("archive/data.pkl", text.getvalue())
        archive.writestr("archive/byteorder", "little")
        for key, data in storages.items():
            archive.writestr("archive/data/" + key, data)
        archive.writestr("archive/version", "3\n")
    return path


def read_safetensors(path):
    """{name: Tensor} of a safetensors file."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    header.pop("__metadata__", None)
    return {
        name: Tensor(
            name,
            row["dtype"],
            tuple(row["shape"]),
            data[slice(*row["data_offsets"])],
        )
        for name, row in header.items()
    }
