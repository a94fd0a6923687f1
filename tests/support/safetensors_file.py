"""Reads and writes safetensors with the standard library alone.

For tests that must run without torch and numpy, and for files that the
official package would not write.
"""

import json
import struct
from typing import NamedTuple


class Entry(NamedTuple):
    name: str
    dtype: str
    shape: list
    data: bytes


def write(path, entries, metadata=None):
    """Writes `entries` in the given order, without any alignment of the data.

    The header is padded to 8 bytes, as the official writer does.
    """
    header = {"__metadata__": metadata} if metadata else {}
    offset = 0
    for entry in entries:
        end = offset + len(entry.data)
        header[entry.name] = {
            "dtype": entry.dtype,
            "shape": list(entry.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)))
        file.write(text)
        for entry in entries:
            file.write(entry.data)


def read(path):
    """Returns (entries in the order of their bytes, metadata)."""
    with open(path, "rb") as file:
        (size,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(size))
        data = file.read()
    metadata = header.pop("__metadata__", {})
    # Empty tensors share their offset with the next one: the end decides.
    rows = sorted(header.items(), key=lambda row: row[1]["data_offsets"])
    entries = []
    for name, row in rows:
        begin, end = row["data_offsets"]
        entries.append(Entry(name, row["dtype"], row["shape"], data[begin:end]))
    return entries, metadata
