"""The stream of torch.save before 1.6: five pickles, then storages."""

import struct

from tests.hostile.case import EITHER, ERROR, cuts, file_case, flips
from tests.hostile.pickles import *

MAGIC = PROTO2 + b"\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19."
VERSION = program(number(1001))
SYS_INFO = program(dict_(
    (text("protocol_version"), number(1001)), (text("little_endian"), TRUE),
    (text("type_sizes"), dict_((text("short"), number(2)),
                               (text("int"), number(4)),
                               (text("long"), number(4))))))
KEY = "94012345"
VALUES = struct.pack("<4f", 1, 2, 3, 4)


def _tensor(key=KEY, numel=4, view=NONE, **view_of):
    return tensor(key, numel, more=view, **view_of)


OBJECT = program(state_dict(w=_tensor()))
KEYS = program(list_(text(KEY)))


def parts(magic=MAGIC, version=VERSION, sys_info=SYS_INFO, object=OBJECT,
          keys=KEYS, numel=4, data=VALUES, rest=b""):
    """A stream as [(label, bytes)]."""
    return [("magic", magic), ("version", version), ("sys_info", sys_info),
            ("object", object), ("keys", keys),
            ("numel", struct.pack("<q", numel)), ("data", data),
            ("rest", rest)]


def stream(**changes):
    return b"".join(part for _, part in parts(**changes))


def _lies():
    def lie(name, outcome=ERROR, **changes):
        return file_case("legacy_" + name, stream(**changes), outcome)

    yield lie("as_it_should_be", EITHER)
    for numel in (0, 3, 5, 2**31, 2**61, 2**62, 2**63 - 1, -1, -2**63):
        yield lie("numel_%d" % numel, numel=numel)
    for numel in (3, 5, 2**40, 2**61, 2**62):
        yield lie("pickled_numel_%d" % numel,
                  object=program(state_dict(w=_tensor(numel=numel))))
    yield lie("both_numel_huge", numel=2**62,
              object=program(state_dict(w=_tensor(numel=2**62))))
    yield lie("no_keys", keys=program(EMPTY_LIST))
    yield lie("keys_missing", keys=program(list_(text("1"))))
    yield lie("keys_twice", keys=program(list_(text(KEY), text(KEY))))
    yield lie("keys_of_ints", keys=program(list_(number(94012345))), outcome=EITHER)
    yield lie("keys_no_list", keys=program(NONE))
    yield lie("keys_a_dict", keys=program(dict_((text(KEY), NONE))))
    yield lie("keys_two_storages_of_one", keys=program(
        list_(text("1"), text(KEY))))
    yield lie("many_keys", keys=program(*[
        EMPTY_LIST + b"(" + b"".join(text(str(i)) for i in range(100_000)) +
        APPENDS]))
    yield lie("version_1002", version=program(number(1002)))
    yield lie("version_text", version=program(text("1001")))
    yield lie("big_endian", EITHER, sys_info=program(dict_(
        (text("protocol_version"), number(1001)), (text("little_endian"), FALSE),
        (text("type_sizes"), EMPTY_DICT))))
    yield lie("sys_info_none", EITHER, sys_info=program(NONE))
    yield lie("object_none", EITHER, object=program(NONE))
    yield lie("object_without_tensors", EITHER, object=program(EMPTY_DICT))
    yield lie("rest", EITHER, rest=b"x" * 100)
    yield lie("rest_is_a_stream", EITHER, rest=stream())
    yield lie("two_sizes_of_one_storage", object=program(state_dict(
        a=_tensor(numel=4), b=_tensor(numel=8, size=(8,), stride=(1,)))))
    yield lie("view_beyond", object=program(state_dict(
        w=_tensor(view=tuple_(text("v"), number(3), number(4))))))
    yield lie("view_huge", object=program(state_dict(
        w=_tensor(view=tuple_(text("v"), number(2**63), number(2**63))))))
    yield lie("view_of_text", EITHER, object=program(state_dict(
        w=_tensor(view=text("v")))))
    yield lie("module_id", EITHER, object=program(dict_(
        (text("w"), _tensor()), (text("m"), tuple_(
            text("module"), global_("os", "system"), text("x.py"),
            text("import os")) + PERSID))))
    for name, view in [
            ("beyond", dict(size=(3, 2))), ("offset", dict(offset=2)),
            ("offset_2_64", dict(offset=2**64)),
            ("stride_huge", dict(stride=(2**62, 2**62))),
            ("stride_negative", dict(stride=(-1, 1))),
            ("size_negative", dict(size=(-2, 2))),
            ("expanded", dict(size=(2**40, 2**20), stride=(0, 0)))]:
        yield lie("tensor_" + name, object=program(state_dict(w=_tensor(**view))))


def cases():
    yield from cuts("legacy", parts()[:-1])
    data = stream()
    header = len(data) - len(VALUES)
    yield from flips("legacy", data, range(0, header, 16))
    yield from _lies()
