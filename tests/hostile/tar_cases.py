"""The tar archives of torch 0.1.0 to 0.1.9."""

import io
import struct
import tarfile

from tests.hostile.case import EITHER, ERROR, cuts, file_case
from tests.hostile.pickles import *

VALUES = struct.pack("<4f", 1, 2, 3, 4)


def _storages(count=1, key=b"7", location="cpu", cls="FloatStorage", numel=4,
              data=VALUES, views=EMPTY_LIST):
    return (program(number(count)) + program(tuple_(
        number(int(key)), text(location), global_("torch", cls))) +
        struct.pack("<q", numel) + data + program(views))


def _tensors(count=1, key=5, storage_id=7, cls="FloatTensor", ndim=2,
             numbers=(2, 2, 2, 1, 0)):
    return (program(number(count)) + program(tuple_(
        number(key), number(storage_id), global_("torch", cls))) +
        struct.pack("<i4x%dq" % len(numbers), ndim, *numbers))


CONTENTS = {
    "sys_info": program(dict_((text("protocol_version"), number(1000)),
                              (text("little_endian"), TRUE))),
    "pickle": program(dict_((text("w"), number(5) + PERSID))),
    "storages": _storages(),
    "tensors": _tensors(),
}


def tar(contents=None, form=tarfile.USTAR_FORMAT, kinds=None):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, data in (contents or CONTENTS).items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            kind = (kinds or {}).get(name)
            if kind is not None:
                info.type, info.linkname, info.size = kind, "../secret", 0
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _case(name, outcome=ERROR, **contents):
    return file_case("tar_" + name, tar({**CONTENTS, **contents}), outcome)


def _headers():
    good = bytearray(tar())

    def patched(name, offset, value, outcome=ERROR):
        bad = bytearray(good)
        bad[offset:offset + len(value)] = value
        if offset != 148:
            bad[148:156] = b" " * 8
            bad[148:155] = b"%06o\0" % sum(bad[:512])
        return file_case("tar_header_" + name, bytes(bad), outcome)

    yield patched("size_huge", 124, b"77777777777\0")
    yield patched("size_base_256", 124, b"\x80" + b"\xff" * 11)
    yield patched("size_negative", 124, b"\xff" * 12)
    yield patched("size_text", 124, b"hello world\0")
    yield patched("size_0", 124, b"00000000000\0", EITHER)
    yield patched("checksum", 148, b"000000\0 ", EITHER)
    yield patched("name_empty", 0, bytes(100), EITHER)
    yield patched("name_absolute", 0, b"/etc/passwd\0", EITHER)
    yield patched("name_parent", 0, b"../sys_info\0", EITHER)
    yield patched("type_link", 156, b"2", EITHER)
    yield patched("type_directory", 156, b"5", EITHER)
    yield patched("type_device", 156, b"3", EITHER)
    yield patched("type_sparse", 156, b"S", EITHER)
    yield patched("type_long_name", 156, b"L", EITHER)
    yield patched("type_pax", 156, b"x", EITHER)
    for name, kind in (("link", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE),
                       ("pipe", tarfile.FIFOTYPE)):
        yield file_case("tar_storages_as_" + name, tar(
            kinds={"storages": kind}), ERROR)


def cases():
    yield file_case("tar_as_it_should_be", tar(), EITHER)
    yield file_case("tar_pax", tar(form=tarfile.PAX_FORMAT), EITHER)
    yield file_case("tar_gnu", tar(form=tarfile.GNU_FORMAT), EITHER)
    data = tar()
    parts = [("block_%d" % n, data[n * 512:n * 512 + 512]) for n in range(10)]
    for case in cuts("tar", parts):
        yield case._replace(outcome=EITHER if case.name.endswith(
            ("inside_block_7", "block_8", "block_9")) else ERROR)
    yield from _headers()
    for member in CONTENTS:
        rest = {k: v for k, v in CONTENTS.items() if k != member}
        # A file without sys_info is as good.
        outcome = EITHER if member in ("sys_info", "tensors") else ERROR
        yield file_case("tar_without_" + member, tar(rest), outcome)
        yield _case(member + "_empty", outcome, **{member: b""})
        yield _case(member + "_cut", outcome,
                    **{member: CONTENTS[member][:-3]})
    for numel in (0, 3, 5, 2**31, 2**61, 2**63 - 1, -1):
        yield _case("numel_%d" % numel, storages=_storages(numel=numel))
    for count in (0, 2, 2**31, 2**62):
        yield _case("storages_%d" % count, storages=_storages(count=count))
        yield _case("tensors_%d" % count, EITHER if count == 0 else ERROR,
                    tensors=_tensors(count=count))
    for name, tensors in {
            "ndim_negative": dict(ndim=-1), "ndim_65": dict(
                ndim=65, numbers=(1,) * 131),
            "ndim_huge": dict(ndim=2**31 - 1), "beyond": dict(
                numbers=(3, 2, 2, 1, 0)),
            "offset": dict(numbers=(2, 2, 2, 1, 2**62)),
            "offset_negative": dict(numbers=(2, 2, 2, 1, -1)),
            "stride_negative": dict(numbers=(2, 2, -2, 1, 0)),
            "size_negative": dict(numbers=(-2, 2, 2, 1, 0)),
            "expanded": dict(numbers=(2**40, 2**20, 0, 0, 0)),
            "storage_absent": dict(storage_id=8)}.items():
        yield _case("tensor_" + name, tensors=_tensors(**tensors))
    yield _case("tensor_of_double", EITHER, tensors=_tensors(cls="DoubleTensor"))
    yield _case("storage_of_double", storages=_storages(cls="DoubleStorage"))
    yield _case("storage_of_os", storages=_storages(cls="system"))
    for name, view in {
            "beyond": (1, 7, 2, 4), "of_itself": (7, 7, 0, 4),
            "of_nobody": (1, 9, 0, 4), "huge": (1, 7, 2**62, 2**62)}.items():
        yield _case("view_" + name, EITHER, storages=_storages(
            views=list_(tuple_(*map(number, view)))))
    yield _case("views_in_a_circle", EITHER, storages=_storages(views=list_(
        tuple_(*map(number, (1, 2, 0, 1))), tuple_(*map(number, (2, 1, 0, 1))))))
    many = {"m%d" % n: b"" for n in range(2000)}
    yield _case("many_members", EITHER, **many)
    yield file_case("tar_of_other_things", tar({
        "model/weights.th": b"x" * 600, "config.yaml": b"a: 1"}), ERROR)
    yield file_case("tar_empty", bytes(10240), ERROR)
