"""Mobile modules: FlatBuffers whose references lead anywhere."""

import struct

from tests.hostile.case import EITHER, ERROR, cuts, file_case, flips

VALUES = struct.pack("<4f", 1, 2, 3, 4)


class Writer:
    """Writes what refers before what it refers to, without alignment."""

    def __init__(self):
        self.bytes = bytearray(4) + b"PTMF"

    def link(self, place):
        struct.pack_into("<I", self.bytes, place, len(self.bytes) - place)

    def table(self, place, fields):
        """`fields`: {number: bytes}; a place of 4 zeros each to be linked.
        Returns {number: place}."""
        count = max(fields, default=-1) + 1
        vtable = [4 + 2 * count, 4 + sum(map(len, fields.values()))]
        position = 4
        offsets = {}
        for number, data in fields.items():
            offsets[number] = position
            position += len(data)
        vtable += [offsets.get(number, 0) for number in range(count)]
        self.bytes += struct.pack("<%dH" % len(vtable), *vtable)
        self.link(place)
        self.bytes += struct.pack("<i", vtable[0])
        places = {}
        for number, data in fields.items():
            places[number] = len(self.bytes)
            self.bytes += data
        return places

    def vector(self, place, count, data):
        self.link(place)
        self.bytes += struct.pack("<I", count)
        begin = len(self.bytes)
        self.bytes += data
        return begin


_LINK = bytes(4)


def module(state=0, sizes=(2, 2), strides=(2, 1), offset=0, scalar=6,
           storage=0, values=VALUES, items=(1,), kind=7):
    """A list (or what `kind` says) of a tensor, as a mobile module."""
    w = Writer()
    root = w.table(0, {3: struct.pack("<I", state), 4: _LINK, 6: _LINK,
                       7: _LINK})
    values_at = w.vector(root[4], 2, _LINK * 2)
    held = w.table(values_at, {0: bytes([kind]), 1: _LINK})
    inner = w.table(held[1], {0: _LINK})
    w.vector(inner[0], len(items), struct.pack("<%dI" % len(items), *items))
    held = w.table(values_at + 4, {0: b"\5", 1: _LINK})
    tensor = w.table(held[1], {
        0: struct.pack("<I", storage), 1: struct.pack("<b", scalar),
        2: struct.pack("<i", offset), 3: _LINK, 4: _LINK})
    w.vector(tensor[3], len(sizes), struct.pack("<%di" % len(sizes), *sizes))
    w.vector(tensor[4], len(strides),
             struct.pack("<%di" % len(strides), *strides))
    storages = w.vector(root[6], 1, _LINK)
    data = w.table(storages, {0: _LINK})
    w.vector(data[0], len(values), values)
    w.vector(root[7], 0, b"")
    return bytes(w.bytes)


def seeds():
    yield module()
    yield module(kind=8, items=(1, 1))


def cases():
    good = module()
    yield file_case("mobile_as_it_should_be", good, EITHER, ".ptl")
    for name, lies in {
            "state_absent": dict(state=9), "state_huge": dict(state=2**32 - 1),
            "sizes_beyond": dict(sizes=(3, 2)),
            "sizes_negative": dict(sizes=(-1, 2)),
            "sizes_huge": dict(sizes=(2**31 - 1, 2**31 - 1)),
            "sizes_65": dict(sizes=(1,) * 65, strides=(1,) * 65),
            "sizes_more": dict(sizes=(2, 2, 1)),
            "strides_beyond": dict(strides=(3, 1)),
            "strides_negative": dict(strides=(-2, 1)),
            "strides_huge": dict(strides=(2**31 - 1, 1)),
            "strides_0": dict(sizes=(2**31 - 1, 2**30), strides=(0, 0)),
            "offset_beyond": dict(offset=1), "offset_negative": dict(offset=-1),
            "scalar_unknown": dict(scalar=127),
            "scalar_negative": dict(scalar=-1),
            "scalar_double": dict(scalar=7),
            "storage_absent": dict(storage=1),
            "storage_huge": dict(storage=2**32 - 1),
            "storage_short": dict(values=VALUES[:-1]),
            "item_absent": dict(items=(5,)),
            "item_itself": dict(items=(0,)),
            "items_many": dict(items=(1,) * 100_000),
            "items_laughing": dict(items=(0, 1) * 1000),
            "kind_unknown": dict(kind=200), "kind_object": dict(kind=10),
            "kind_dict": dict(kind=9)}.items():
        outcome = EITHER if name.startswith(("item", "items", "kind")) else ERROR
        yield file_case("mobile_" + name, module(**lies), outcome, ".ptl")
    yield from cuts("mobile", [("byte_%d" % n, good[n:n + 32])
                               for n in range(0, len(good), 32)],
                    outcome=EITHER, extension=".ptl")
    yield from flips("mobile", good, range(8, len(good) - 16, 9),
                     extension=".ptl")
    for position in range(0, len(good) - 20, 12):
        for name, value in (("ones", b"\xff" * 4), ("max", b"\xff\xff\xff\x7f"),
                            ("0", bytes(4))):
            bad = good[:position] + value + good[position + 4:]
            if bad[4:8] == b"PTMF":
                yield file_case("mobile_word_%d_%s" % (position, name), bad,
                                EITHER, ".ptl")
    yield file_case("mobile_magic_alone", bytes(4) + b"PTMF", ERROR, ".ptl")
    yield file_case("mobile_zeros", lambda: [bytes(4) + b"PTMF", 600 << 20],
                    ERROR, ".ptl")
