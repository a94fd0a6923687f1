"""Tar archives, as torch 0.1.0 to 0.1.9 wrote them. By hand: torch still reads
them, and writes them no more."""

import collections
import io
import pickle
import struct
import tarfile

import numpy as np
import torch

from tests.interop import stock
from tests.interop.corpus import whole_modules
from tests.interop.corpus.legacy_streams import OldPickler, Storage, dumps

builder = stock.Family("torch-tar")

# Class of storage and of tensor, by type of element.
_CLASSES = {
    "<f8": (torch.DoubleStorage, torch.DoubleTensor),
    "<f4": (torch.FloatStorage, torch.FloatTensor),
    "<f2": (torch.HalfStorage, torch.HalfTensor),
    "<i8": (torch.LongStorage, torch.LongTensor),
    "<i4": (torch.IntStorage, torch.IntTensor),
    "<i2": (torch.ShortStorage, torch.ShortTensor),
    "|i1": (torch.CharStorage, torch.CharTensor),
    "|u1": (torch.ByteStorage, torch.ByteTensor),
}


class View:
    """A tensor: a view of an array, as numpy has it."""

    def __init__(self, storage, size, stride=None, offset=0):
        self.storage, self.size, self.offset = storage, size, offset
        if stride is None:
            stride = [int(np.prod(size[i + 1:])) for i in range(len(size))]
        self.stride = stride


class _Pickler(OldPickler):
    """Classes of modules are persistent ids too, with their source text."""

    def __init__(self, *args):
        super().__init__(*args)
        self._classes = set()

    def persistent_id(self, value):
        if (isinstance(value, type) and issubclass(value, torch.nn.Module)
                and value not in self._classes):
            self._classes.add(value)
            return value, "linear.py", "class %s(Module): ..." % value.__name__
        return super().persistent_id(value)


def _storages(arrays, views, protocol):
    out = io.BytesIO()
    pickle.dump(len(arrays), out, protocol)
    for key, array in arrays.items():
        pickle.dump((key, "cpu", _CLASSES[array.dtype.str][0]), out, protocol)
        out.write(struct.pack("<q", array.size) + array.tobytes())
    pickle.dump(views, out, protocol)
    return out.getvalue()


def _tensors(tensors, arrays, protocol):
    out = io.BytesIO()
    pickle.dump(len(tensors), out, protocol)
    for key, tensor in tensors.items():
        array = arrays.get(tensor.storage, next(iter(arrays.values())))
        pickle.dump((key, tensor.storage, _CLASSES[array.dtype.str][1]), out,
                    protocol)
        ndim = len(tensor.size)
        out.write(struct.pack("<ii%dq%dqq" % (ndim, ndim), ndim, 0,
                              *tensor.size, *tensor.stride, tensor.offset))
    return out.getvalue()


def _save(path, value, arrays, tensors, views=(), protocol=2,
          order=("storages", "tensors", "pickle", "sys_info"),
          format=tarfile.PAX_FORMAT):
    """`value` refers to arrays and tensors by Storage(key)."""
    members = {
        "storages": _storages(arrays, list(views), protocol),
        "tensors": _tensors(tensors, arrays, protocol),
        "pickle": dumps(value, protocol, _Pickler),
        "sys_info": pickle.dumps({"protocol_version": 1000,
                                  "little_endian": True}, protocol),
    }
    path += ".pt"
    with tarfile.open(path, "w", format=format) as tar:
        for name in order:
            info = tarfile.TarInfo(name)
            info.size = len(members[name])
            tar.addfile(info, io.BytesIO(members[name]))
    return path


def _floats(size):
    return np.random.default_rng(size).standard_normal(size).astype("<f4")


@builder
def state_dict(path):
    return _save(path, collections.OrderedDict([
        ("conv.weight", Storage(11)), ("conv.bias", Storage(12))]),
        {1: _floats(24), 2: _floats(4)},
        {11: View(1, (4, 3, 2)), 12: View(2, (4,))})


@builder
def every_type(path):
    arrays = {i: np.arange(12).astype(dtype)
              for i, dtype in enumerate(_CLASSES, 1)}
    return _save(path, {dtype: Storage(100 + i)
                        for i, dtype in enumerate(_CLASSES, 1)},
                 arrays, {100 + i: View(i, (3, 4)) for i in arrays})


@builder
def strides_and_ties(path):
    """Two tensors of one storage, one of them transposed; a tensor twice."""
    return _save(path, collections.OrderedDict([
        ("w", Storage(11)), ("t", Storage(12)), ("again", Storage(11)),
        ("row", Storage(13)), ("scalar", Storage(14))]),
        {1: _floats(30)},
        {11: View(1, (5, 6)), 12: View(1, (6, 5), (1, 6)),
         13: View(1, (6,), (1,), 12), 14: View(1, (), (), 7)})


@builder
def storage_views(path):
    """Parts of a storage with keys of their own."""
    return _save(path, {"whole": Storage(11), "part": Storage(12)},
                 {1: _floats(30)},
                 {11: View(1, (5, 6)), 12: View(2, (2, 4), (4, 1), 1)},
                 views=[(2, 1, 6, 12)])


@builder
def whole_module(path):
    model = torch.nn.Linear(3, 4)
    model._parameters = collections.OrderedDict([
        ("weight", Storage(11)), ("bias", Storage(12))])
    path = _save(path, model, {1: _floats(12), 2: _floats(4)},
                 {11: View(1, (4, 3)), 12: View(2, (4,))})
    return stock.Checkpoint(
        path, lambda: dict(stock.load_value(path)._parameters))


@builder
def training_checkpoint(path):
    return _save(path, {
        "epoch": 3, "arch": "net", "best_prec1": 71.5,
        "state_dict": collections.OrderedDict([("fc.weight", Storage(11))]),
        "optimizer": {"state": {1: {"momentum_buffer": Storage(12)}},
                      "args": whole_modules.argparse.Namespace(lr=0.1)}},
        {1: _floats(12), 2: _floats(12)},
        {11: View(1, (4, 3)), 12: View(2, (4, 3))})


@builder
def of_text_pickles(path):
    """Protocol 0: persistent ids are decimal digits."""
    return _save(path, {"w": Storage(140001), "n": [1, -2, 1 << 40, 0.5, True]},
                 {1: _floats(6)}, {140001: View(1, (2, 3))}, protocol=0)


@builder
def in_another_order(path):
    return _save(path, {"w": Storage(11)}, {1: _floats(6)},
                 {11: View(1, (2, 3))},
                 order=("sys_info", "pickle", "tensors", "storages"))


@builder
def as_old_tar(path):
    return _save(path, {"w": Storage(11)}, {1: _floats(600)},
                 {11: View(1, (20, 30))}, format=tarfile.USTAR_FORMAT)


@builder
def as_gnu_tar(path):
    return _save(path, {"w": Storage(11)}, {1: _floats(600)},
                 {11: View(1, (20, 30))}, format=tarfile.GNU_FORMAT)
