"""Bare pickles of numpy arrays, of every protocol and by both generations of
numpy; and numpy arrays among the tensors of torch."""

import collections
import pickle

import numpy as np
import torch

from tests.interop import stock
from tests.interop.stock import linear, save

builder = stock.Family("pickle")


def _arrays():
    rng = np.random.default_rng(0)
    return {
        "w": rng.standard_normal((6, 7)).astype("<f4"),
        "b": rng.standard_normal(7), "n": np.arange(9).reshape(3, 3),
        "scalar": np.array(2.5, "<f4"), "empty": np.zeros((0, 4), "<f4")}


def _load(path):
    with open(path, "rb") as file:
        return stock.weights(pickle.load(file))


def _dump(path, value, protocol):
    path += ".pkl"
    with open(path, "wb") as file:
        pickle.dump(value, file, protocol)
    return stock.Checkpoint(path, lambda: _load(path))


class _OfNumpy1(pickle._Pickler):
    """Names numpy's modules as its versions before 2 did."""

    def save_global(self, value, name=None):
        module = getattr(value, "__module__", "") or ""
        if not module.startswith("numpy._core"):
            return super().save_global(value, name)
        module = module.replace("numpy._core", "numpy.core")
        name = value.__qualname__
        if self.proto >= 4:
            self.save(module)
            self.save(name)
            self.write(pickle.STACK_GLOBAL)
        else:
            self.write(pickle.GLOBAL
                       + ("%s\n%s\n" % (module, name)).encode())
        self.memoize(value)

    dispatch = dict(pickle._Pickler.dispatch)
    dispatch[type(_arrays)] = save_global


def _dump_of_numpy_1(path, value, protocol):
    path += ".pkl"
    with open(path, "wb") as file:
        _OfNumpy1(file, protocol).dump(value)
    return stock.Checkpoint(path, lambda: _load(path))


@builder
def protocol_0(path):
    return _dump(path, _arrays(), 0)


@builder
def protocol_1(path):
    return _dump(path, _arrays(), 1)


@builder
def protocol_2(path):
    return _dump(path, _arrays(), 2)


@builder
def protocol_3(path):
    return _dump(path, _arrays(), 3)


@builder
def protocol_4(path):
    return _dump(path, _arrays(), 4)


@builder
def protocol_5(path):
    return _dump(path, _arrays(), 5)


@builder
def protocol_0_of_numpy_1(path):
    return _dump_of_numpy_1(path, _arrays(), 0)


@builder
def protocol_2_of_numpy_1(path):
    return _dump_of_numpy_1(path, _arrays(), 2)


@builder
def protocol_4_of_numpy_1(path):
    return _dump_of_numpy_1(path, _arrays(), 4)


@builder
def protocol_5_of_numpy_1(path):
    return _dump_of_numpy_1(path, _arrays(), 5)


@builder
def every_type(path):
    return _dump(path, {
        name: np.arange(-6, 6).astype(name) for name in (
            "?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4",
            "f8", "c8", "c16")}, 4)


@builder
def big_endian(path):
    return _dump(path, {name: np.arange(-6, 6).astype(name).reshape(3, 4)
                        for name in (">i2", ">i4", ">i8", ">f2", ">f4", ">f8",
                                     ">c8", ">c16", "|i1")}, 4)


@builder
def big_endian_frombuffer(path):
    return _dump(path, {name: np.arange(-6, 6).astype(name).reshape(3, 4)
                        for name in (">i2", ">f4", ">c16")}, 5)


@builder
def fortran_order(path):
    cube = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    return _dump(path, {"f": np.asfortranarray(cube), "big": np.asfortranarray(
        cube.astype(">f8")), "t": cube[0].T, "c": cube}, 4)


@builder
def fortran_order_frombuffer(path):
    cube = np.arange(24, dtype="<f4").reshape(2, 3, 4)
    return _dump(path, {"f": np.asfortranarray(cube), "t": cube[0].T}, 5)


@builder
def views_of_arrays(path):
    """Arrays are written whole: no strides, no ties."""
    base = np.arange(60, dtype="<f8").reshape(6, 10)
    return _dump(path, {
        "steps": base[::2, 1::3], "back": base[::-1], "row": base[2],
        "wide": np.broadcast_to(base[0], (3, 10))}, 4)


@builder
def large_arrays(path):
    """Longer than the frames of the pickle; one of them twice."""
    array = np.random.default_rng(0).standard_normal((300, 400))
    return _dump(path, {"a": array, "again": array, "f": array.T}, 4)


@builder
def large_arrays_as_text(path):
    array = np.random.default_rng(0).standard_normal((100, 90))
    return _dump(path, {"a": array, "again": array, "f": array.T}, 0)


@builder
def matrices(path):
    return _dump(path, {"m": np.asmatrix(_arrays()["w"])}, 4)


@builder
def nested(path):
    return _dump(path, {
        "blobs": collections.OrderedDict(
            (name, array) for name, array in _arrays().items()),
        "layers": [_arrays()["w"], (_arrays()["b"], None)],
        "__author__": "somebody", "mapping": {"a": "b"}}, 2)


@builder
def list_of_arrays(path):
    return _dump(path, list(_arrays().values()), 4)


@builder
def bare_array(path):
    return _dump(path, _arrays()["w"], 4)


@builder
def training_state_beside(path):
    return _dump(path, {"model": _arrays(), "optimizer": {"m": _arrays()},
                        "iteration": np.int64(3)}, 4)


@builder
def text_and_objects(path):
    """Arrays of other things are left out, and named."""
    made = _dump(path, {
        "w": _arrays()["w"], "names": np.array(["a", "bc"]),
        "objects": np.array([{}, None], dtype=object),
        "bytes": np.array([b"x", b"yz"]),
        "records": np.zeros(2, [("x", "<f4"), ("y", "<i2")])}, 4)
    return made._replace(noted=("names", "objects", "bytes", "records"))


@builder
def arrays_among_tensors(path):
    path = save(path, {"state_dict": {"tensor": linear(), **_arrays()},
                       "mean": np.float64(0.5)})
    return stock.loaded(path, container="torch")


@builder
def arrays_in_a_module(path):
    """No parameters: state_dict() does not have them."""
    model = torch.nn.Linear(3, 4)
    model.mean = _arrays()["w"]
    return stock.loaded(save(path, model), container="torch")


@builder
def arrays_in_a_legacy_stream(path):
    path = save(path, {"w": linear(), "array": _arrays()["w"]},
                _use_new_zipfile_serialization=False)
    return stock.loaded(path, container="torch-legacy")


@builder
def tensors_by_way_of_numpy(path):
    """How torch saves tensors of some accelerators."""
    class Tensor:
        def __reduce__(self):
            return torch._utils._rebuild_device_tensor_from_numpy, (
                _arrays()["w"], torch.float32, "cpu", False)

    return stock.loaded(save(path, {"w": Tensor(), "b": linear()}),
                        container="torch")
