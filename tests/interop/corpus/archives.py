"""The archive around a torch.save: everything that may differ in a zip file
with the same weights in it."""

import io
import os
import pickle
import zipfile

import numpy as np
import torch
from torch.utils.serialization import config

from tests.interop import stock
from tests.interop.stock import linear, save

builder = stock.Family("torch")


def _model():
    return {"w": linear(), "h": linear(5, 7, torch.bfloat16),
            "n": torch.arange(9)}


def members_of(path):
    with zipfile.ZipFile(path) as archive:
        return [(info.filename, archive.read(info))
                for info in archive.infolist()]


def _write(path, members, method=zipfile.ZIP_STORED):
    """Members are (name, bytes) or (name, bytes, method)."""
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data, *own_method in members:
            archive.writestr(name, data, *own_method)
    return path


def _keep(path, names):
    """Only the members whose name has one of `names` in it."""
    return _write(path, [(name, data) for name, data in members_of(path)
                         if any(part in name for part in names)])


class _Pickler(pickle._Pickler):
    """Pickles tensors as calls with persistent ids of the caller's making."""

    def __init__(self, file, protocol, make_id):
        super().__init__(file, protocol)
        self._make_id = make_id
        self.storages = []

    def persistent_id(self, value):
        if not isinstance(value, torch.UntypedStorage):
            return None
        self.storages.append(value)
        return self._make_id(len(self.storages) - 1, value)

    def reducer_override(self, value):
        if not isinstance(value, torch.Tensor):
            return NotImplemented
        return torch._utils._rebuild_tensor_v2, (
            value.untyped_storage(), value.storage_offset(),
            tuple(value.size()), value.stride(), False, {})


def _by_hand(path, value, make_id, protocol=2, root="archive"):
    """An archive of three kinds of members, as torch 1.6 wrote it."""
    pickled = io.BytesIO()
    pickler = _Pickler(pickled, protocol, make_id)
    pickler.dump(value)
    members = [(root + "/data.pkl", pickled.getvalue())]
    members += [("%s/data/%d" % (root, i), bytes(storage.tolist()))
                for i, storage in enumerate(pickler.storages)]
    return _write(path + ".pt", members + [(root + "/version", b"3\n")])


# Options of torch.save.


@builder
def protocol_3(path):
    return save(path, _model(), pickle_protocol=3)


@builder
def protocol_4(path):
    return save(path, _model(), pickle_protocol=4)


@builder
def aligned_to_pages(path):
    before = config.save.storage_alignment
    config.save.storage_alignment = 4096
    try:
        return save(path, _model())
    finally:
        config.save.storage_alignment = before


@builder
def by_way_of_pinned_memory(path):
    before = config.save.use_pinned_memory_for_d2h
    config.save.use_pinned_memory_for_d2h = True
    try:
        return save(path, _model())
    finally:
        config.save.use_pinned_memory_for_d2h = before


@builder
def without_byte_order(path):
    return save(path, _model(), _disable_byteorder_record=True)


@builder
def named_archive(path):
    """A buffer has no name for the folder inside."""
    buffer = io.BytesIO()
    torch.save(_model(), buffer)
    path += ".anything"
    with open(path, "wb") as file:
        file.write(buffer.getvalue())
    return path


@builder
def named_with_dots(path):
    return save(path + ".v1.0-final.epoch=3", _model())


@builder
def wrong_extension(path):
    """What a file is, is in its content."""
    source, path = save(path, _model()), path + ".safetensors.pth.tar"
    os.rename(source, path)
    return path


@builder
def mapped_by_path(path):
    """The order of storages is not that of the tensors."""
    weights = _model()
    return save(path, {"z": weights["w"][3:], "a": weights["n"], **weights})


# Archives that were packed again, or by others.


@builder
def of_torch_1_6(path):
    return _keep(save(path, _model()), ("data.pkl", "/data/", "/version"))


@builder
def with_litter(path):
    """What macOS adds when it packs a folder; torch refuses it."""
    model = _model()
    path = save(path, model)
    members = members_of(path)
    root = members[0][0].split("/")[0]
    _write(path, members + [
        ("__MACOSX/%s/._data.pkl" % root, b"\0\5\x16\7"),
        ("__MACOSX/._%s" % root, b""), (".DS_Store", b"Bud1"),
        (root + "/.DS_Store", b"Bud1")])
    return stock.expecting(path, model, noted=("__MACOSX",))


@builder
def with_deflated_pickle(path):
    path = save(path, {"layer.%d" % i: torch.ones(3) for i in range(200)})
    return _write(path, [
        (name, data, zipfile.ZIP_DEFLATED if name.endswith(".pkl")
         else zipfile.ZIP_STORED) for name, data in members_of(path)])


@builder
def with_other_members_first(path):
    path = save(path, _model())
    members = members_of(path)
    root = members[0][0].split("/")[0]
    return _write(path, [(root + "/.data/notes", b"x" * 100)] + members[::-1])


@builder
def with_a_comment(path):
    path = save(path, _model())
    with zipfile.ZipFile(path, "a") as archive:
        archive.comment = "packed by somebody, \u00fc".encode()
    return path


@builder
def with_folders(path):
    """Empty members for the folders themselves, as `zip -r` makes them."""
    path = save(path, _model())
    members = members_of(path)
    root = members[0][0].split("/")[0]
    return _write(path, [(root + "/", b""), (root + "/data/", b"")] + members)


# Byte order.

@builder
def big_endian_of_every_type(path):
    """As torch writes it on such a machine: one type of element a storage."""
    state = {
        str(dtype)[6:]: torch.randint(0, 99, (5, 3)).to(dtype) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.int16, torch.int32,
            torch.int64, torch.float16, torch.bfloat16, torch.float32,
            torch.float64, torch.complex64, torch.complex128)}
    state["view"] = torch.randn(6, 5).t()[1:]
    path = save(path, state)
    # Halves of complex numbers are turned one by one.
    sizes = [t.real.element_size() for t in state.values()]

    def swap(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        folder, _, key = name.rpartition("/")
        if not folder.endswith("/data"):
            return data
        numbers = np.frombuffer(data, "u%d" % sizes[int(key)])
        return numbers.byteswap().tobytes()

    return _write(path, [(name, swap(name, data))
                         for name, data in members_of(path)])


# Persistent ids.


@builder
def storages_of_other_devices(path):
    return _by_hand(path, {"w": torch.randn(3, 4), "v": torch.randn(5)},
                    lambda key, storage: (
                        "storage", torch.cuda.FloatStorage, str(key), "cuda:1",
                        len(storage) // 4))


@builder
def storages_with_integer_keys(path):
    return _by_hand(path, {"w": torch.randn(3, 4)}, lambda key, storage: (
        "storage", torch.FloatStorage, key, "cpu", len(storage) // 4))


@builder
def pickled_by_pure_python(path):
    """Protocol 5 with frames, memoized strings and stack globals."""
    return _by_hand(path, {"w" * 20: torch.randn(3, 4), "deep": [{}] * 3},
                    lambda key, storage: (
                        "storage", torch.FloatStorage, str(key), "mps:0",
                        len(storage) // 4), protocol=5)
