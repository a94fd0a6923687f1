"""Offsets and sizes beyond 4 GiB, in files that are mostly holes."""

import json
import os
import struct
import zipfile
import zlib

import numpy as np
import torch

from tests.interop import stock
from tests.interop.corpus import legacy_streams
from tests.interop.stock import linear, save

builder = stock.Family("torch")

_HOLE = 5 << 30

# All but the tensor at the end of the hole would take long to hash.
_LAST_ONLY = ("--tensors", "last")


def _local_header(name, size, crc):
    extra, short = b"", size
    if size >= 0xffffffff:
        extra, short = struct.pack("<2H2Q", 1, 16, size, size), 0xffffffff
    return struct.pack("<4s5H3I2H", b"PK\3\4", 45, 0x800, 0, 0, 0x21, crc,
                       short, short, len(name), len(extra)) + name + extra


def _directory_entry(name, size, crc, offset):
    values, short_size, short_offset = [], size, offset
    if size >= 0xffffffff:
        values, short_size = [size, size], 0xffffffff
    if offset >= 0xffffffff:
        values, short_offset = values + [offset], 0xffffffff
    extra = b""
    if values:
        extra = struct.pack("<2H%dQ" % len(values), 1, 8 * len(values), *values)
    return struct.pack("<4s6H3I5H2I", b"PK\1\2", 45, 45, 0x800, 0, 0, 0x21, crc,
                       short_size, short_size, len(name), len(extra), 0, 0, 0,
                       0, short_offset) + name + extra


def _write_zip64(path, members):
    """Members are (name, bytes, bytes of hole before those, checksum)."""
    directory = b""
    with open(path, "wb") as file:
        for name, data, hole, crc in members:
            offset, size = file.tell(), hole + len(data)
            file.write(_local_header(name.encode(), size, crc))
            file.seek(hole, os.SEEK_CUR)
            file.write(data)
            directory += _directory_entry(name.encode(), size, crc, offset)
        begin = file.tell()
        end = begin + len(directory)
        file.write(directory + struct.pack(
            "<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, len(members),
            len(members), len(directory), begin))
        file.write(struct.pack("<4sIQI", b"PK\6\7", 0, end, 1))
        file.write(struct.pack("<4s4H2IH", b"PK\5\6", 0xffff, 0xffff, 0xffff,
                               0xffff, 0xffffffff, 0xffffffff, 0))
    return path


@builder
def archive_with_late_members(path):
    path = save(path, {"w": linear(), "n": torch.arange(9)})
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info))
                   for info in archive.infolist()]
    # An unused member fills the space.
    root = members[0][0].split("/")[0]
    members.insert(3, (root + "/.data/hole", b""))
    return _write_zip64(path, [
        (name, data, _HOLE * name.endswith("/hole"), zlib.crc32(data))
        for name, data in members])


@builder
def archive_with_a_large_storage(path):
    """Without checksums, as torch can be told to write it."""
    last = np.arange(12, dtype="<f4")
    numel = _HOLE // 4 + last.size
    storage = legacy_streams.Storage("storage", torch.FloatStorage, "0", "cpu",
                                     numel)
    rebuild = torch._utils._rebuild_tensor_v2
    pickled = legacy_streams.dumps({
        "first": legacy_streams.Call(rebuild, (storage, 0, (5,), (1,), False,
                                               {})),
        "last": legacy_streams.Call(rebuild, (storage, numel - 12, (3, 4),
                                              (4, 1), False, {}))})
    path = _write_zip64(path + ".pt", [
        ("large/data.pkl", pickled, 0, 0), ("large/byteorder", b"little", 0, 0),
        ("large/data/0", last.tobytes(), _HOLE, 0),
        ("large/version", b"3\n", 0, 0)])
    return stock.Checkpoint(path, lambda: torch.load(path, mmap=True))


@builder
def large_legacy_stream(path):
    last = np.arange(12, dtype="<f4")
    numel = _HOLE // 4 + last.size
    storage = legacy_streams.Storage("storage", torch.FloatStorage, "1", "cpu",
                                     numel, None)
    pickled = legacy_streams.dumps({"last": legacy_streams.Call(
        torch._utils._rebuild_tensor_v2,
        (storage, numel - 12, (3, 4), (4, 1), False, {}))})
    path = legacy_streams.save_by_hand(path + ".pt", pickled,
                                       [("1", last[:0])])
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(struct.pack("<q", numel))
        file.seek(_HOLE, os.SEEK_CUR)
        file.write(last.tobytes())
    return stock.expecting(path, {"last": torch.from_numpy(last).view(3, 4)},
                           container="torch-legacy")


@builder
def large_safetensors(path):
    last = np.arange(12, dtype="<f4")
    header = json.dumps({
        "hole": {"dtype": "U8", "shape": [_HOLE], "data_offsets": [0, _HOLE]},
        "last": {"dtype": "F32", "shape": [3, 4],
                 "data_offsets": [_HOLE, _HOLE + 48]}}).encode()
    path += ".safetensors"
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(header)) + header)
        file.seek(_HOLE, os.SEEK_CUR)
        file.write(last.tobytes())
    return stock.expecting(path, {"last": torch.from_numpy(last).view(3, 4)},
                           arguments=_LAST_ONLY, container="safetensors")
