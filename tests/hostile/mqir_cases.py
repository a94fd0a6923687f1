""".mqir files: a sound one of one tensor, and lies in it under right checksums.

The sound one is the example of docs/ir_format.md.
"""

import struct
import zlib

from tests.hostile.case import EITHER, ERROR, OK, cuts, file_case, flips

MAGIC = b"\x89MQIR\r\n\x1a"
PAYLOAD = struct.pack("<2f", 1, -2)
INDEX = bytes.fromhex(
    "180000004d514958000000000c001400040008000c0010000c00000034000000"
    "140000000c000000040000000000000000000000010000000001000000000000"
    "0800000000000000562687c300000000010000001000000000000a0010000800"
    "07000c000a0000000000000b1400000004000000010000000200000000000000"
    "0100000077000000")


def mqir(index=INDEX, payload=PAYLOAD, start=256, **lies):
    """A file with right checksums of whatever `index` is; `lies` replace
    fields of the header."""
    size = start + len(payload)
    head = lies.get("magic", MAGIC) + struct.pack(
        "<IIQQQI16s", lies.get("version", 1), lies.get("zero", 0),
        lies.get("file_size", size), lies.get("index_offset", 64),
        lies.get("index_size", len(index)),
        lies.get("index_crc", zlib.crc32(index)), lies.get("zeros", bytes(16)))
    head += struct.pack("<I", lies.get("crc", zlib.crc32(head)))
    file = head + index
    return file + bytes(max(0, start - len(file))) + payload


def _case(name, outcome=ERROR, **changes):
    return file_case("mqir_" + name, mqir(**changes), outcome, ".mqir")


def cases():
    yield file_case("mqir_as_it_should_be", mqir(), OK, ".mqir",
                    tensors={"w": ("F32", [2], PAYLOAD)})
    for name, lies in {
            "version_0": dict(version=0), "version_2": dict(version=2),
            "version_huge": dict(version=2**32 - 1), "zero_set": dict(zero=1),
            "zeros_set": dict(zeros=b"\1" * 16), "crc": dict(crc=1),
            "index_crc": dict(index_crc=1), "file_size": dict(file_size=2**63),
            "file_size_0": dict(file_size=0),
            "index_offset": dict(index_offset=0),
            "index_offset_wraps": dict(index_offset=2**64 - 64),
            "index_size_0": dict(index_size=0),
            "index_size_3": dict(index_size=3),
            "index_size_huge": dict(index_size=2**64 - 1),
            "index_size_wraps": dict(index_size=2**64 - 64),
            "index_size_limit": dict(index_size=256 << 20),
            "payload_missing": dict(payload=b""),
            "payload_cut": dict(payload=PAYLOAD[:-1]),
            "payload_more": dict(payload=PAYLOAD + b"x"),
            "payload_wrong": dict(payload=PAYLOAD[:-1] + b"x"),
            "index_empty": dict(index=b""),
            "index_of_zeros": dict(index=bytes(0x88)),
            "index_of_ones": dict(index=b"\xff" * 0x88)}.items():
        yield _case(name, **lies)
    parts = [("magic", MAGIC), ("fields", mqir()[8:64]), ("index", INDEX),
             ("gap", bytes(256 - 64 - len(INDEX))), ("payload", PAYLOAD)]
    yield from cuts("mqir", parts, extension=".mqir")
    # Every number of the index in turn.
    for position in range(0, len(INDEX), 4):
        for name, value in (("0", b"\0\0\0\0"), ("max", b"\xff\xff\xff\x7f"),
                            ("ones", b"\xff\xff\xff\xff"), ("4", b"\4\0\0\0")):
            index = INDEX[:position] + value + INDEX[position + 4:]
            if index != INDEX:
                yield _case("word_%02x_%s" % (position, name), EITHER,
                            index=index)
    yield from flips("mqir_file", mqir(), range(0, 64, 9), extension=".mqir")
    yield file_case("mqir_index_of_zeros_in_a_hole", lambda: [
        mqir(index=b"", payload=b"", start=64, index_size=200 << 20,
             file_size=(200 << 20) + 64), 200 << 20], ERROR, ".mqir")
