"""Zip archives that may lie, down to every field."""

import struct
import zlib
from typing import NamedTuple, Optional

LOCAL, ENTRY, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END64, LOCATOR64 = b"PK\x06\x06", b"PK\x06\x07"


class Member(NamedTuple):
    """One member. What is set beyond name and data replaces the truth: without
    a prefix in the directory, with `local_` in the header before the data."""
    name: bytes
    data: bytes
    deflate: bool = False
    method: Optional[int] = None
    flags: int = 0
    crc: Optional[int] = None
    size: Optional[int] = None
    stored: Optional[int] = None  # the compressed size
    offset: Optional[int] = None
    extra: bytes = b""
    comment: bytes = b""
    name_size: Optional[int] = None
    extra_size: Optional[int] = None
    local_name: Optional[bytes] = None
    local_method: Optional[int] = None
    local_flags: Optional[int] = None
    local_crc: Optional[int] = None
    local_size: Optional[int] = None
    local_stored: Optional[int] = None
    local_extra: bytes = b""
    local_extra_size: Optional[int] = None
    # The bytes in the archive, where they are not what `data` makes.
    raw: Optional[bytes] = None


def deflated(data):
    engine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return engine.compress(data) + engine.flush()


def _or(value, default):
    return default if value is None else value


def _parts_of(member, offset):
    """(parts of the member, its entry in the directory)."""
    raw = member.raw
    if raw is None:
        raw = deflated(member.data) if member.deflate else member.data
    method = _or(member.method, 8 if member.deflate else 0)
    crc = _or(member.crc, zlib.crc32(member.data))
    local_name = _or(member.local_name, member.name)
    label = member.name.decode(errors="replace").replace("/", "_")[:40]
    header = LOCAL + struct.pack(
        "<HHHHHIIIHH", 20, _or(member.local_flags, member.flags),
        _or(member.local_method, method), 0, 0, _or(member.local_crc, crc),
        _or(member.local_stored, len(raw)),
        _or(member.local_size, len(member.data)), len(local_name),
        _or(member.local_extra_size, len(member.local_extra)))
    parts = [("header_of_" + label, header), ("name_of_" + label, local_name),
             ("data_of_" + label, member.local_extra + raw)]
    entry = ENTRY + struct.pack(
        "<HHHHHHIIIHHHHHII", 20, 20, member.flags, method, 0, 0, crc,
        _or(member.stored, len(raw)), _or(member.size, len(member.data)),
        _or(member.name_size, len(member.name)),
        _or(member.extra_size, len(member.extra)), len(member.comment), 0, 0, 0,
        _or(member.offset, offset))
    return parts, entry + member.name + member.extra + member.comment


def archive_parts(members, zip64=False, entries=None, directory_size=None,
                  directory_offset=None, end_comment=b"", comment_size=None,
                  end64=None, before_end=b"", prefix=b""):
    """An archive as [(label, bytes)]. `end64` replaces fields of the zip64 end
    record: entries, size, offset, record (where the locator points)."""
    parts, directory = [], []
    position = len(prefix)
    if prefix:
        parts.append(("prefix", prefix))
    for member in members:
        made, entry = _parts_of(member, position)
        parts += made
        position += sum(len(part) for _, part in made)
        directory.append(entry)
    for number, entry in enumerate(directory):
        parts.append(("entry_%d" % number, entry))
    size = sum(map(len, directory))
    count = len(members)
    if zip64:
        lies = end64 or {}
        parts.append(("end64", END64 + struct.pack(
            "<QHHIIQQQQ", 44, 45, 45, 0, 0, lies.get("entries", count),
            lies.get("entries", count), lies.get("size", size),
            lies.get("offset", position))))
        parts.append(("locator64", LOCATOR64 + struct.pack(
            "<IQI", 0, lies.get("record", position + size), 1)))
        # Only in the zip64 record.
        count, size, position = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF
    if before_end:
        parts.append(("before_end", before_end))
    count = _or(entries, count)
    parts.append(("end", END + struct.pack(
        "<HHHHIIH", 0, 0, count, count, _or(directory_size, size),
        _or(directory_offset, position), _or(comment_size, len(end_comment)))
        + end_comment))
    return parts


def join(parts):
    return b"".join(part for _, part in parts)


def archive(members, **lies):
    return join(archive_parts(members, **lies))


def torch_members(pickle, storages=None, root="archive", **of_pickle):
    """The members of what torch.save writes."""
    members = [Member(b"%s/data.pkl" % root.encode(), pickle, **of_pickle)]
    for key, data in (storages or {}).items():
        name = "%s/data/%s" % (root, key)
        members.append(Member(name.encode(), data))
    members.append(Member(b"%s/version" % root.encode(), b"3\n"))
    return members


def torch_zip(pickle, storages=None, **of_pickle):
    return archive(torch_members(pickle, storages, **of_pickle))


def bomb(pieces, name=b"archive/data.pkl"):
    """An archive of one deflated member, in pieces to be written one after the
    other, so that no more than a piece is in memory here. A hole in a second
    member makes the file as large as its claims require.

    `pieces` are the member's bytes as [(bytes, how many times)].
    """
    engine = zlib.compressobj(1, zlib.DEFLATED, -15)
    crc, size, out = 0, 0, []
    for piece, times in pieces:
        # Compressing in large steps is much faster.
        step = max(1, (1 << 20) // len(piece))
        while times > 0:
            now = min(step, times)
            chunk = piece * now
            crc, size = zlib.crc32(chunk, crc), size + len(chunk)
            out.append(engine.compress(chunk))
            times -= now
    raw = b"".join(out) + engine.flush()
    hole = max(size // 4, 1 << 20) & -(1 << 20)
    pickle, entry = _parts_of(
        Member(name, b"", method=8, crc=crc, size=size, local_size=size,
               raw=raw), 0)
    data_offset = sum(len(part) for _, part in pickle)
    hole_crc = zlib.crc32(b"")
    for _ in range(hole >> 20):
        hole_crc = zlib.crc32(bytes(1 << 20), hole_crc)
    padding, padding_entry = _parts_of(
        Member(b"archive/data/0", b"", crc=hole_crc, size=hole, stored=hole,
               local_size=hole, local_stored=hole), data_offset)
    directory = entry + padding_entry
    offset = data_offset + sum(len(part) for _, part in padding) + hole
    end = END + struct.pack("<HHHHIIH", 0, 0, 2, 2, len(directory), offset, 0)
    return [join(pickle + padding), hole, directory + end]
