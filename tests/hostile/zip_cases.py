"""Archives of torch whose directory, headers and ends lie."""

import struct

from tests.hostile import zips
from tests.hostile.case import (
    EITHER, ERROR, OK, cuts, directory_case, file_case, flips)
from tests.hostile.pickles import *
from tests.hostile.zips import Member

VALUES = struct.pack("<4f", 1, 2, 3, 4)
PICKLE = program(state_dict(w=tensor()))
TENSORS = {"w": ("F32", [2, 2], VALUES)}
MEMBERS = zips.torch_members(PICKLE, {"0": VALUES})
DATA, WEIGHTS, VERSION = MEMBERS


def _case(name, *members, outcome=ERROR, tensors=None, **of_end):
    return file_case("zip_" + name, zips.archive(members or MEMBERS, **of_end),
                     outcome, tensors=tensors)


def _ends():
    yield _case("as_it_should_be", outcome=OK, tensors=TENSORS)
    yield _case("zip64", outcome=OK, tensors=TENSORS, zip64=True)
    yield _case("comment", outcome=OK, tensors=TENSORS, end_comment=b"hello")
    yield file_case("zip_empty", b"")
    yield file_case("zip_empty_archive", zips.archive([]))
    yield file_case("zip_magic_alone", b"PK\x03\x04")
    for count in (0, 2, 4, 0xFFFE, 0xFFFF):
        yield _case("entries_%d" % count, entries=count)
    for size in (0, 1, 2**31, 2**32 - 2, 2**32 - 1):
        yield _case("directory_size_%d" % size, directory_size=size)
        yield _case("directory_offset_%d" % size, directory_offset=size)
    for size in (1, 65535):
        yield _case("comment_size_%d" % size, comment_size=size)
    yield _case("comment_with_an_end", end_comment=zips.archive([]))
    yield _case("bytes_before_end", before_end=b"x" * 7)
    yield _case("prefix", prefix=b"x" * 9)
    good = zips.archive(MEMBERS)
    yield file_case("zip_rest", good + b"x")
    yield file_case("zip_rest_is_an_end", good + zips.archive([]))
    yield file_case("zip_twice", good + good)
    for field, values in {
            "entries": (0, 2, 2**32, 2**64 - 1),
            "size": (0, 2**40, 2**63, 2**64 - 1),
            "offset": (0, 2**40, 2**63, 2**64 - 1),
            "record": (0, 1, 2**40, 2**63, 2**64 - 40)}.items():
        for value in values:
            yield _case("end64_%s_%d" % (field, value), zip64=True,
                        end64={field: value})
    wrap = len(zips.archive(MEMBERS))
    yield _case("end64_offset_and_size_wrap", zip64=True,
                end64={"offset": 2**64 - wrap, "size": wrap})


def _fields():
    for field, values in {
            "size": (0, 15, 17, 2**31, 2**32 - 2, 2**32 - 1),
            "stored": (0, 15, 17, 2**31, 2**32 - 2, 2**32 - 1),
            "offset": (0, 1, 2**31, 2**32 - 2, 2**32 - 1),
            "name_size": (0, 13, 15, 65535),
            "extra_size": (1, 65535),
            "crc": (0, 1),
            "method": (1, 8, 9, 12, 14, 93, 99, 65535),
            "flags": (1, 8, 0x20, 0x40, 0x2000),
            "local_crc": (0, 1),
            "local_size": (0, 15, 17, 2**32 - 1),
            "local_stored": (0, 15, 17, 2**32 - 1),
            "local_extra_size": (1, 16, 65535),
            "local_method": (8, 99),
            "local_flags": (1, 8)}.items():
        for value in values:
            yield _case("%s_%d" % (field, value), DATA,
                        WEIGHTS._replace(**{field: value}), VERSION,
                        outcome=EITHER if value in (8, 0x20) and
                        "flags" in field else ERROR)
    sizes = struct.pack("<QQ", 2**62, 2**62)
    for name, extra in [
            ("cut", b"\1\0\x10\0" + sizes[:8]), ("empty", b"\1\0\0\0"),
            ("huge", b"\1\0\x10\0" + sizes),
            ("negative", b"\1\0\x10\0" + b"\xff" * 16),
            ("twice", (b"\1\0\x10\0" + struct.pack("<QQ", 16, 16)) * 2),
            ("too_long", b"\1\0\xff\xff" + sizes)]:
        yield _case("extra64_" + name, DATA, WEIGHTS._replace(
            size=0xFFFFFFFF, stored=0xFFFFFFFF, extra=extra), VERSION)
    yield _case("extra64_offset_wraps", DATA, WEIGHTS._replace(
        offset=0xFFFFFFFF, extra=b"\1\0\x08\0" + struct.pack(
            "<Q", 2**64 - 16)), VERSION)
    yield _case("extra_garbage", DATA._replace(extra=b"\xff" * 7),
                *MEMBERS[1:], outcome=EITHER)


def _members():
    yield _case("no_pickle", *MEMBERS[1:])
    yield _case("no_weights", DATA, VERSION)
    yield _case("pickle_empty", DATA._replace(data=b""), *MEMBERS[1:])
    yield _case("pickle_without_root", Member(b"data.pkl", PICKLE),
                Member(b"data/0", VALUES))
    yield _case("two_roots", *MEMBERS, Member(b"b/data.pkl", PICKLE))
    yield _case("root_is_dots", *[
        m._replace(name=m.name.replace(b"archive", b"..")) for m in MEMBERS],
        outcome=EITHER)
    yield _case("root_is_empty", *[
        m._replace(name=m.name.replace(b"archive", b"")) for m in MEMBERS],
        outcome=EITHER)
    yield _case("root_is_absolute", *[
        m._replace(name=m.name.replace(b"archive", b"/etc")) for m in MEMBERS])
    yield _case("root_with_escapes", *[
        m._replace(name=m.name.replace(b"archive", b"\x1b[31m\n"))
        for m in MEMBERS], outcome=EITHER)
    yield _case("root_no_utf8", *[
        m._replace(name=m.name.replace(b"archive", b"\xff\xfe"))
        for m in MEMBERS], outcome=EITHER)
    yield _case("root_of_60000", *[
        m._replace(name=m.name.replace(b"archive", b"a" * 60_000))
        for m in MEMBERS], outcome=EITHER)
    yield _case("weights_shorter", DATA, WEIGHTS._replace(data=VALUES[:-1]))
    yield _case("weights_longer", DATA, WEIGHTS._replace(data=VALUES * 2),
                outcome=EITHER)
    yield _case("weights_twice", DATA, WEIGHTS, WEIGHTS)
    yield _case("weights_twice_by_case", DATA, WEIGHTS,
                WEIGHTS._replace(name=b"archive/DATA/0"))
    yield _case("weights_deflated", DATA, WEIGHTS._replace(deflate=True),
                outcome=EITHER)
    yield _case("weights_flipped", DATA, WEIGHTS._replace(
        raw=VALUES[:-1] + b"\x41"))
    yield _case("weights_of_another_name", DATA, WEIGHTS._replace(
        local_name=b"archive/data/1"))
    position = sum(len(part) for _, part in zips.archive_parts(MEMBERS)[:3])
    yield _case("weights_over_the_pickle", DATA, WEIGHTS._replace(offset=0))
    yield _case("version_over_the_weights", DATA, WEIGHTS,
                VERSION._replace(offset=position))
    yield _case("weights_in_the_directory", DATA, WEIGHTS._replace(
        offset=len(zips.archive(MEMBERS)) - 100))
    yield _case("name_with_zero", *MEMBERS, Member(b"archive/x\0y", b""))
    yield _case("name_with_path", *MEMBERS, Member(b"archive/../../x", b"x"),
                outcome=EITHER)
    yield _case("name_with_backslash", *MEMBERS, Member(b"archive\\data.pkl",
                                                        b"x"))
    yield _case("name_empty", *MEMBERS, Member(b"", b"x"))
    yield _case("byteorder_middle", *MEMBERS, Member(b"archive/byteorder",
                                                     b"middle"))
    yield _case("byteorder_huge", *MEMBERS, Member(b"archive/byteorder",
                                                   b"little" * 10_000))
    yield _case("record_broken", *MEMBERS, Member(b"archive/monoquant.json",
                                                  b"{"))
    yield _case("record_deep", *MEMBERS, Member(b"archive/monoquant.json",
                                                b"[" * 1_000_000))
    yield _case("record_of_another", *MEMBERS, Member(
        b"archive/monoquant.json", b'{"format":"monoquant/9"}'))
    yield _case("deflate_broken", DATA._replace(deflate=True, raw=b"\xff" * 50),
                *MEMBERS[1:])
    yield _case("deflate_cut", DATA._replace(
        deflate=True, raw=zips.deflated(PICKLE)[:-3]), *MEMBERS[1:])
    yield _case("deflate_with_rest", DATA._replace(
        deflate=True, raw=zips.deflated(PICKLE) + b"xyz"), *MEMBERS[1:])
    yield _case("deflate_shorter", DATA._replace(
        deflate=True, raw=zips.deflated(PICKLE[:-1]), size=len(PICKLE)),
        *MEMBERS[1:])
    yield _case("deflate_longer", DATA._replace(
        deflate=True, raw=zips.deflated(PICKLE + bytes(100_000))), *MEMBERS[1:])


def _bombs():
    for name, size, claim in [("honest", 60 << 20, None),
                              ("says_little", 60 << 20, len(PICKLE)),
                              ("says_gigabytes", 1 << 20, 2**32 - 2)]:
        raw = zips.deflated(PICKLE + bytes(size))
        yield _case("bomb_" + name, DATA._replace(
            data=PICKLE, method=8, raw=raw, size=claim or
            size + len(PICKLE), local_size=claim or size + len(PICKLE)),
            *MEMBERS[1:], outcome=EITHER if name == "honest" else ERROR)
    # One stream under a thousand names, as in the archive of 42 kB.
    raw = zips.deflated(bytes(1 << 20))
    yield _case("bomb_of_shared_bytes", *MEMBERS, *[
        Member(b"archive/data/x%d" % i, b"", method=8, raw=raw if not i else
               b"", size=1 << 20, stored=len(raw), crc=0,
               offset=len(zips.archive(MEMBERS)) - 200)
        for i in range(1000)])
    yield _case("bomb_of_many", *MEMBERS, *[
        Member(b"archive/data/x%d" % i, b"", method=8, raw=raw, size=1 << 20,
               local_size=1 << 20, crc=0) for i in range(200)])
    yield _case("many_members", *MEMBERS, *[
        Member(b"archive/data/x%d" % i, b"") for i in range(60_000)],
        outcome=EITHER)
    yield file_case("zip_many_members64", lambda: zips.archive(
        [*MEMBERS, *[Member(b"archive/data/x%d" % i, b"")
                     for i in range(200_000)]], zip64=True), EITHER)
    yield file_case("zip_directory_of_long_names", lambda: zips.archive(
        [*MEMBERS, *[Member(b"archive/data/%04d" % i + b"n" * 60_000, b"")
                     for i in range(1_000)]]), EITHER, heavy=True)
    yield file_case("zip_sparse_directory", lambda: [
        zips.archive(MEMBERS)[:-22], 600 << 20, zips.END + struct.pack(
            "<HHHHIIH", 0, 0, 3, 3, 600 << 20, 300, 0)])


def _shards():
    index = b'{"weight_map": {"w": "a.bin"}}'
    good = zips.archive(MEMBERS)
    yield directory_case("bin_shards_cut", {
        "pytorch_model.bin.index.json": index, "a.bin": good[:-30]})
    yield directory_case("bin_shards_of_text", {
        "pytorch_model.bin.index.json": index, "a.bin": b"hello"})


def cases():
    yield from cuts("zip", zips.archive_parts(MEMBERS))
    yield from cuts("zip64", zips.archive_parts(MEMBERS, zip64=True)[-4:])
    data = zips.archive(MEMBERS)
    yield from flips("zip", data, [
        0, 4, 6, 8, 14, 18, 22, 26, 28, 30, 31, 60, len(data) - 22,
        len(data) - 18, len(data) - 14, len(data) - 12, len(data) - 10,
        len(data) - 6, len(data) - 2])
    for family in (_ends, _fields, _members, _bombs, _shards):
        yield from family()
