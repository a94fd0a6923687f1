"""Pickles back to back, as torch 0.1.10 to 1.5 wrote files by default: by
torch's own option, and by hand where torch has changed since."""

import collections
import io
import pickle
import struct

import numpy as np
import torch

from tests.interop import stock
from tests.interop.corpus import tensor_kinds, whole_modules
from tests.interop.stock import linear

builder = stock.Family("torch-legacy")

_MAGIC = 0x1950a86a20f9469cfc6c
_SYSTEM = {"protocol_version": 1001, "little_endian": True,
           "type_sizes": {"short": 2, "int": 4, "long": 8}}


def save(path, value, **options):
    return stock.save(path, value, _use_new_zipfile_serialization=False,
                      **options)


def save_by_hand(path, pickled, storages, system=_SYSTEM, protocol=2, rest=b""):
    """Storages are (key, array): as many bytes as the pickle says."""
    with open(path, "wb") as file:
        for value in (_MAGIC, 1001, system):
            pickle.dump(value, file, protocol)
        file.write(pickled)
        pickle.dump(sorted(key for key, _ in storages), file, protocol)
        for _, array in sorted(storages):
            file.write(struct.pack("<q", array.size) + array.tobytes())
        file.write(rest)
    return path


class OldTensor:
    """A tensor the way that old versions described one."""

    def __init__(self, key, *call):
        self.key, self.call = key, call


class Storage:

    def __init__(self, *persistent_id):
        self.persistent_id = persistent_id


class OldPickler(pickle.Pickler):

    def persistent_id(self, value):
        if not isinstance(value, Storage):
            return None
        # Files of the tar era have bare keys.
        id = value.persistent_id
        return id[0] if len(id) == 1 else id


def dumps(value, protocol=2, pickler=OldPickler):
    file = io.BytesIO()
    pickler(file, protocol).dump(value)
    return file.getvalue()


class Call:
    """Pickled as a call, with state or without."""

    def __init__(self, function, args, state=None):
        self.reduced = (function, args) + (() if state is None else (state,))

    def __reduce__(self):
        return self.reduced


def _float_storage(key, numel, view=None, location="cpu"):
    return Storage("storage", torch.FloatStorage, key, location, numel, view)


# As torch 2.13 writes them.


@builder
def state_dict(path):
    return save(path, whole_modules.Net().state_dict())


@builder
def whole_module(path):
    """Classes come as persistent ids, with their source text."""
    return save(path, whole_modules.Net())


@builder
def training_checkpoint(path):
    model, optimizer = whole_modules.trained()
    return save(path, {"epoch": 3, "model": model, "best": 0.5,
                       "optimizer": optimizer.state_dict()})


@builder
def every_type(path):
    return save(path, {
        str(dtype)[6:]: torch.randint(0, 90, (4, 5)).to(dtype) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32,
            torch.int64, torch.float16, torch.bfloat16, torch.float32,
            torch.float64, torch.complex64, torch.complex128)})


@builder
def types_that_torch_cannot_read_back(path):
    """It writes them, and then misses the type of their storage."""
    state = {
        str(dtype)[6:]: torch.randint(0, 90, (4, 5)).to(dtype) for dtype in (
            torch.uint16, torch.uint32, torch.uint64, torch.float8_e4m3fn,
            torch.float8_e5m2, torch.float8_e8m0fnu)}
    return stock.expecting(save(path, state), state)


@builder
def views(path):
    base = torch.randn(20, 30)
    return save(path, {"t": base.t(), "rows": base[3:7], "last": base[-1, -1],
                       "wide": base[:1].expand(9, 30), "base": base,
                       "windows": base.view(-1).unfold(0, 50, 20)})


@builder
def ties(path):
    weight = torch.nn.Parameter(linear())
    return save(path, {"encoder": weight, "x": linear(), "decoder": weight})


@builder
def empty_and_scalar(path):
    return save(path, {"none": torch.empty(0), "rows": torch.empty(0, 5),
                       "step": torch.tensor(7), "w": linear()})


@builder
def nothing_but_settings_beside(path):
    return save(path, {"state_dict": {"w": linear()},
                       "args": whole_modules.argparse.Namespace(lr=1)})


@builder
def protocol_3(path):
    return save(path, {"w": linear(), "list": [linear()]}, pickle_protocol=3)


@builder
def protocol_4(path):
    return save(path, {"w": linear(), "list": [linear()]}, pickle_protocol=4)


@builder
def protocol_5(path):
    return save(path, {"w": linear(), "list": [linear()]}, pickle_protocol=5)


@builder
def sparse_and_wrapped(path):
    return save(path, {"s": torch.eye(5).to_sparse(), "w": linear(),
                       "two": tensor_kinds.TwoTensor(linear(), linear())})


@builder
def bare_tensor(path):
    return save(path, linear())


@builder
def many_storages(path):
    """Their order in the file is that of their keys as text."""
    return save(path, collections.OrderedDict(
        ("layer.%d" % i, torch.randn(i % 5, 3)) for i in range(500)))


# As older versions wrote them.


@builder
def storage_views(path):
    """Parts of a storage had keys of their own."""
    base = np.arange(24, dtype="<f4")
    whole = _float_storage("100", 24)
    part = _float_storage("100", 24, ("200", 6, 10))
    rebuild = torch._utils._rebuild_tensor
    pickled = dumps(collections.OrderedDict([
        ("whole", Call(rebuild, (whole, 0, (4, 6), (6, 1)))),
        ("part", Call(rebuild, (part, 2, (2, 3), (4, 1)))),
        ("again", Call(rebuild, (part, 0, (10,), (1,))))]))
    return save_by_hand(path + ".pth", pickled, [("100", base)])


@builder
def of_torch_0_1(path):
    """A tensor was made empty, and then got its storage."""
    base = np.arange(12, dtype="<f4")
    pickled = dumps({"w": Call(torch.FloatTensor, (),
                               (_float_storage("7", 12), 1, (2, 3), (5, 1)))})
    return save_by_hand(path + ".pth", pickled, [("7", base)])


@builder
def of_torch_0_3(path):
    """A parameter was an object around a tensor."""
    base = np.arange(12, dtype="<f4")
    tensor = Call(torch._utils._rebuild_tensor, (
        _float_storage("7", 12, location="cuda:0"), 0, (3, 4), (4, 1)))
    parameter = Call(torch._utils._rebuild_parameter, (
        tensor, True, collections.OrderedDict()))
    return save_by_hand(path + ".pth", dumps({"p": parameter}), [("7", base)])


@builder
def variables(path):
    """Of torch 0.1 to 0.3: data, gradient, hooks and two flags."""
    base = np.arange(12, dtype="<f4")
    tensor = Call(torch.FloatTensor, (),
                  (_float_storage("7", 12), 0, (3, 4), (4, 1)))
    state = (tensor, None, collections.OrderedDict(), True, False)
    pickled = dumps({"p": Call(torch.nn.Parameter, (), state)})
    return save_by_hand(path + ".pth", pickled, [("7", base)])


@builder
def of_python_2(path):
    """Text is bytes there: GLOBALs of __builtin__, keys as SHORT_BINSTRING."""
    base = np.arange(6, dtype="<f4")

    def text(value):
        return b"U" + bytes([len(value)]) + value

    storage = (b"(" + text(b"storage") + b"ctorch\nFloatStorage\n" + text(b"12")
               + text(b"cpu") + b"K\6NtQ")
    tensor = (b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage
              + b"K\0K\2K\3\x86K\3K\1\x86\x89ccollections\nOrderedDict\n]\x85R"
              b"tR")
    pickled = (b"\x80\2ccollections\nOrderedDict\n]](" + text(b"net.weight")
               + tensor + b"ea\x85R.")
    return save_by_hand(path + ".pth", pickled, [("12", base)])


@builder
def from_a_big_endian_machine(path):
    """The data is little-endian, whatever the header says."""
    system = dict(_SYSTEM, little_endian=False)
    base = np.arange(6, dtype="<f4")
    pickled = dumps({"w": Call(torch._utils._rebuild_tensor_v2, (
        _float_storage("1", 6), 0, (2, 3), (3, 1), False, {}))})
    return save_by_hand(path + ".pth", pickled, [("1", base)], system)


@builder
def with_bytes_behind_it(path):
    """torch reads on, if anybody calls it again: several objects a file."""
    base = np.arange(6, dtype="<f4")
    pickled = dumps({"w": Call(torch._utils._rebuild_tensor_v2, (
        _float_storage("1", 6), 0, (2, 3), (3, 1), False, {}))})
    path = save_by_hand(path + ".pth", pickled, [("1", base)], rest=b"\0" * 9)
    return stock.loaded(path, noted=("9",))
