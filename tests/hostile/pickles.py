"""Pickles, instruction by instruction, as no pickler would write them.

Every function returns the bytes of instructions that push one value.
"""

import struct

PROTO2 = b"\x80\x02"
MARK, STOP, POP, DUP, REDUCE, BUILD, NEWOBJ = (
    b"(", b".", b"0", b"2", b"R", b"b", b"\x81")
NONE, TRUE, FALSE = b"N", b"\x88", b"\x89"
EMPTY_LIST, EMPTY_DICT, EMPTY_TUPLE, EMPTY_SET = b"]", b"}", b")", b"\x8f"
APPEND, APPENDS, SETITEM, SETITEMS = b"a", b"e", b"s", b"u"
TUPLE, TUPLE1, TUPLE2 = b"t", b"\x85", b"\x86"
STACK_GLOBAL, MEMOIZE, PERSID = b"\x93", b"\x94", b"Q"


def program(*instructions, proto=2):
    """A whole pickle."""
    return b"\x80" + bytes([proto]) + b"".join(instructions) + STOP


def text(value):
    if isinstance(value, str):
        value = value.encode()
    return b"X" + struct.pack("<I", len(value)) + value


def short_text(value):
    value = value.encode()
    return b"\x8c" + bytes([len(value)]) + value


def blob(value):
    return b"B" + struct.pack("<I", len(value)) + value


def number(value):
    if 0 <= value < 256:
        return b"K" + bytes([value])
    size = (value.bit_length() + 8) // 8
    return b"\x8a" + bytes([size]) + value.to_bytes(size, "little", signed=True)


def global_(module, name):
    return b"c" + module.encode() + b"\n" + name.encode() + b"\n"


def stack_global(module, name):
    return short_text(module) + short_text(name) + STACK_GLOBAL


def put(index):
    return b"r" + struct.pack("<I", index)


def get(index):
    return b"j" + struct.pack("<I", index)


def tuple_(*items):
    return MARK + b"".join(items) + TUPLE


def list_(*items):
    return EMPTY_LIST + MARK + b"".join(items) + APPENDS


def dict_(*pairs):
    items = b"".join(key + value for key, value in pairs)
    return EMPTY_DICT + MARK + items + SETITEMS


def call(function, *args):
    return function + tuple_(*args) + REDUCE


def new(cls, state):
    """An object made without arguments that is given `state`."""
    return cls + EMPTY_TUPLE + NEWOBJ + state + BUILD


ORDERED_DICT = call(global_("collections", "OrderedDict"))


def ints(values):
    return tuple_(*[number(value) for value in values])


def storage(key, numel, cls="FloatStorage", more=b"", kind="storage"):
    """A torch storage; `more` is what legacy files add."""
    return tuple_(text(kind), global_("torch", cls),
                  text(key) if isinstance(key, str) else key,
                  text("cpu"), number(numel), more) + PERSID


def tensor(key="0", numel=4, offset=0, size=(2, 2), stride=(2, 1),
           cls="FloatStorage", more=b"", kind="storage"):
    """A call of _rebuild_tensor_v2."""
    return call(global_("torch._utils", "_rebuild_tensor_v2"),
                storage(key, numel, cls, more, kind), number(offset),
                ints(size), ints(stride), FALSE, ORDERED_DICT)


def state_dict(**tensors):
    return dict_(*[(text(name), value) for name, value in tensors.items()])
