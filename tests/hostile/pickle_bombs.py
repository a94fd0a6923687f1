"""Pickles that are small on disk and large, deep or endless in memory."""

import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, OK, file_case
from tests.hostile.pickles import *

_DATA = {"0": struct.pack("<4f", 1, 2, 3, 4)}
_TENSORS = {"w": ("F32", [2, 2], _DATA["0"])}
MILLION = 1_000_000


def _small(name, *instructions, outcome=ERROR, proto=2, **kwargs):
    pickle = program(*instructions, proto=proto)
    return file_case("pickle_" + name, zips.torch_zip(pickle, _DATA), outcome,
                     **kwargs)


def _large(name, *pieces, outcome=ERROR):
    """`pieces`: (instructions, how many times), or iterators over those."""

    def flat():
        yield PROTO2, 1
        for piece in pieces:
            if isinstance(piece, tuple):
                yield piece
            else:
                yield from piece
        yield STOP, 1

    return file_case("pickle_" + name, lambda: zips.bomb(flat()), outcome,
                     heavy=True)


def _numbered(count, template, before=b"", after=b""):
    """template(i) for each i, in batches between `before` and `after`."""
    step = 10_000
    for start in range(0, count, step):
        yield before + b"".join(
            template(i) for i in range(start, start + step)) + after, 1


def _entries(count, template):
    """Of a dict that is on the stack."""
    return _numbered(count, template, MARK, SETITEMS)


def _laughs(levels, empty, add):
    """A value that has the one below it in itself, again and again."""
    out = [tensor() + put(0) + POP]
    for level in range(levels):
        out.append(empty + MARK + add(level) + put(level + 1) + POP)
    return out + [state_dict(w=get(levels))]


def _laughing(level, times=10):
    return get(level) * times


def growing():
    """More of one thing than memory should have to hold."""
    yield _large("lists_dropped", (EMPTY_LIST + POP, 23_900_000), (NONE, 1))
    yield _large("lists_of_one", (EMPTY_LIST + NONE + APPEND + POP, 12_000_000),
                 (NONE, 1))
    yield _large("sets_of_one",
                 (EMPTY_SET + MARK + NONE + b"\x90" + POP, 9_900_000),
                 (NONE, 1))
    yield _large("objects_with_state",
                 (NONE + EMPTY_TUPLE + REDUCE + NONE + BUILD + POP, 8_000_000),
                 (NONE, 1))
    yield _large("objects_with_everything",
                 (NONE + EMPTY_TUPLE + REDUCE + NONE + BUILD + NONE + APPEND +
                  NONE + NONE + SETITEM + POP, 4_500_000), (NONE, 1))
    yield _large("long_list", (EMPTY_LIST, 1),
                 (MARK + NONE + DUP * 99_998 + APPENDS, 490), outcome=EITHER)
    yield _large("long_tuples", (MARK + NONE + DUP * 99_998 + TUPLE + POP, 490),
                 (NONE, 1), outcome=EITHER)
    yield _large("long_dict", (EMPTY_DICT, 1),
                 (MARK + NONE + DUP * 99_997 + SETITEMS, 490), outcome=EITHER)
    yield _large("memo", (NONE, 1),
                 _numbered(5 * MILLION, lambda i: put(i * 2654435761 % 2**32)))
    yield _large("memoize", (NONE, 1), (MEMOIZE, 5 * MILLION))
    yield _large("globals", _numbered(
        6 * MILLION, lambda i: b"cm\n%x\n0" % i), (NONE, 1), outcome=EITHER)
    yield _large("globals_with_long_names", _numbered(
        2 * MILLION, lambda i: b"c" + b"m" * 40 + b"\n%064x\n0" % i), (NONE, 1),
        outcome=EITHER)
    yield _large("stack", (NONE, 2 * MILLION))
    yield _large("marks", (MARK, 40 * MILLION), (NONE, 1))
    yield _large("dups", (NONE, 1), (DUP, 2 * MILLION))
    yield _large("instructions", (NONE + POP, 30 * MILLION), (NONE, 1))
    yield _large("persistent_ids", (NONE + PERSID + POP, 16 * MILLION),
                 (NONE, 1), outcome=EITHER)
    yield _large("latin1_as_utf8",
                 (b"V" + b"\xe9" * 15_000_000 + b"\n0", 16), (NONE, 1),
                 outcome=EITHER)
    yield _large("escapes", (b"S'" + b"\\x41" * 3_900_000 + b"'\n0", 16),
                 (NONE, 1), outcome=EITHER)
    yield _large("strings", (text("x" * 15_000_000) + POP, 16), (NONE, 1),
                 outcome=EITHER)
    yield _large("one_blob", (b"B" + struct.pack("<I", 250_000_000), 1),
                 (bytes(MILLION), 250), outcome=EITHER)
    yield _large("too_many_bytes", (b"B" + struct.pack("<I", 300_000_000), 1),
                 (bytes(MILLION), 300))
    yield _large("floats", (b"G" + bytes(8) + POP, 20 * MILLION), (NONE, 1),
                 outcome=EITHER)


def many_tensors():
    """A million names of one tensor, and what may be long in each."""
    def many(name, value, count=990_000, before=b"", key=b"X\x05\0\0\0%05x"):
        return _large("tensors_" + name, (before + value + put(0) + POP, 1),
                      (EMPTY_DICT, 1),
                      _entries(count, lambda i: key % i + get(0)),
                      outcome=EITHER)

    yield many("one_million", tensor())
    yield many("beyond_the_limit", tensor(), 1_010_000)
    yield many("of_64_dims", tensor(size=(1,) * 64, stride=(1,) * 64))
    yield many("with_long_keys", tensor(key="k" * 999))
    yield many("with_hooks", call(
        global_("torch._utils", "_rebuild_parameter"), tensor(), TRUE, NONE))
    # Names of 250 bytes each.
    yield _large("tensors_below_a_long_name",
                 (tensor() + put(0) + POP, 1),
                 (EMPTY_DICT + text("n" * 240) + EMPTY_DICT, 1),
                 _entries(990_000, lambda i: b"X\x05\0\0\0%05x" % i + get(0)),
                 (SETITEM, 1), outcome=EITHER)
    # The name of a module's class goes to each of its tensors.
    yield _large("tensors_of_a_class_with_a_long_name",
                 (tensor() + put(0) + POP, 1),
                 (b"cm\n" + b"C" * 1_000_000 + b"\n" + EMPTY_TUPLE + NEWOBJ, 1),
                 (EMPTY_DICT + text("_parameters") + EMPTY_DICT, 1),
                 _entries(20_000, lambda i: b"X\x05\0\0\0%05x" % i + get(0)),
                 (SETITEM + text("_buffers") + EMPTY_DICT + SETITEM +
                  text("_modules") + EMPTY_DICT + SETITEM + BUILD, 1),
                 outcome=EITHER)
    yield _large("tensors_overlapping_in_part", (EMPTY_DICT, 1),
                 _entries(40_000, lambda i: text("%d" % i) + tensor(
                     numel=50_000, offset=i, size=(9_999,), stride=(1,))),
                 outcome=EITHER)
    yield _large("tensors_with_many_attributes",
                 (EMPTY_DICT + MARK + b"".join(
                     text("%d" % i) + NONE for i in range(9_999)) + SETITEMS +
                  put(1) + POP, 1),
                 (tensor() + put(2) + POP, 1), (EMPTY_DICT, 1),
                 _entries(100_000, lambda i: text("%d" % i) + call(
                     global_("torch._utils", "_rebuild_parameter_with_state"),
                     get(2), TRUE, ORDERED_DICT, get(1))),
                 outcome=EITHER)


def shared():
    """Small values that are endless if they are copied out."""
    yield _small("laughs_lists", *_laughs(
        60, EMPTY_LIST, lambda i: _laughing(i) + APPENDS), outcome=EITHER, heavy=True)
    yield _small("laughs_dicts", *_laughs(
        60, EMPTY_DICT, lambda i: b"".join(
            number(k) + get(i) for k in range(10)) + SETITEMS), outcome=EITHER, heavy=True)
    yield _small("laughs_tuples", *_laughs(
        60, b"", lambda i: _laughing(i) + TUPLE), outcome=EITHER, heavy=True)
    yield _small("laughs_modules", tensor() + put(0) + POP, *[
        new(global_("m", "M"), dict_(
            (text("_parameters"), dict_(*([(text("w"), get(0))] if not i else
                                          []))),
            (text("_buffers"), EMPTY_DICT),
            (text("_modules"), dict_(*[(text(str(k)), get(i))
                                       for k in range(10) if i]))))
        + put(i + 1) + POP for i in range(40)], get(40), outcome=EITHER, heavy=True)
    yield _small("laughs_objects", *[
        NONE + (tuple_(*[get(i)] * 10) if i else EMPTY_TUPLE) + REDUCE +
        put(i + 1) + POP for i in range(60)], dict_((text("o"), get(60)),
                                                    (text("w"), tensor())),
        outcome=EITHER, heavy=True)
    yield _large("list_in_many_places",
                 (EMPTY_LIST + MARK + NONE + DUP * 99_998 + APPENDS + put(0), 1),
                 (POP + EMPTY_LIST + MARK + get(0) * 99_999 + APPENDS, 1),
                 outcome=EITHER)
    yield _small("list_in_itself", EMPTY_LIST + put(0) + get(0) + APPEND,
                 outcome=EITHER)
    yield _small("dict_in_itself",
                 EMPTY_DICT + put(0) + text("state_dict") + get(0) + SETITEM +
                 text("w") + tensor() + SETITEM, outcome=EITHER)
    yield _small("roots_in_circles",
                 EMPTY_DICT + put(0) + POP + EMPTY_DICT + put(1) +
                 text("state_dict") + get(0) + SETITEM + POP + get(0) +
                 text("model") + get(1) + SETITEM, outcome=EITHER)
    yield _small("object_in_itself",
                 NONE + EMPTY_TUPLE + REDUCE + put(0) + get(0) + BUILD,
                 outcome=EITHER)
    yield _small("tuple_in_itself",
                 EMPTY_LIST + put(0) + get(0) + TUPLE1 + put(1) + APPEND + POP +
                 get(1), outcome=EITHER)
    yield _small("module_in_itself", new(
        global_("m", "M") + put(0), dict_(
            (text("_parameters"), EMPTY_DICT), (text("_buffers"), EMPTY_DICT),
            (text("_modules"), dict_((text("m"), get(0)))))), outcome=EITHER)
    # The callee is the object that the call before made, and so on.
    yield _large("calls_of_calls", (NONE, 1), (EMPTY_TUPLE + REDUCE, 5 * MILLION),
                 outcome=EITHER)


def deep():
    """Nests as deep as memory goes: nothing may recurse on them."""
    for name, opening, closing in [
            ("lists", EMPTY_LIST, APPEND), ("tuples", MARK, TUPLE),
            ("dicts", EMPTY_DICT + NONE, SETITEM),
            ("calls", NONE, TUPLE1 + REDUCE), ("states", NONE, BUILD),
            ("persistent_ids", b"", PERSID), ("frozensets", MARK, b"\x91"),
            ("named", EMPTY_DICT + text("x"), SETITEM)]:
        depth = 490_000
        middle = NONE + EMPTY_TUPLE + REDUCE
        yield _large("deep_" + name, (opening, depth) if opening else (NONE, 1),
                     (middle, 1), (closing, depth), outcome=EITHER)
    yield _large("deep_tuples_of_one", (tensor(), 1), (TUPLE1, 5 * MILLION),
                 outcome=EITHER)
    yield _large("deep_parameters", (tensor(), 1),
                 (put(0) + POP + global_("torch._utils", "_rebuild_parameter") +
                  MARK + get(0) + TRUE + NONE + TUPLE + REDUCE, 300_000),
                 (put(0) + POP + state_dict(w=get(0)), 1), outcome=EITHER)
    yield _large("deep_modules", (tensor(), 1), (
        put(0) + POP + new(global_("m", "M"), dict_(
            (text("_parameters"), EMPTY_DICT), (text("_buffers"), EMPTY_DICT),
            (text("_modules"), dict_((text("m"), get(0)))))), 50_000),
        outcome=EITHER)


def slow():
    """Few instructions that take long each."""
    name = text("n" * 8_000_000)
    yield _large("stack_globals_of_long_names",
                 (name + put(0) + POP, 1),
                 ((get(0) + get(0) + STACK_GLOBAL + POP), 100_000), (NONE, 1),
                 outcome=EITHER)
    yield _large("long_keys_compared",
                 (name + put(0) + POP + EMPTY_DICT + MARK, 1),
                 ((get(0) + NONE), 400_000), (SETITEMS, 1), outcome=EITHER)
    yield _large("long_keys_of_tensors",
                 (name + put(0) + tensor() + put(1) + POP + POP + EMPTY_DICT +
                  MARK, 1),
                 ((get(0) + get(1)), 400_000), (SETITEMS, 1), outcome=EITHER)
    yield _large("decimals", (b"I" + b"9" * 1000 + b"\n0", 200_000), (NONE, 1),
                 outcome=EITHER)
    yield _large("floats_of_many_digits",
                 (b"F0." + b"1" * 10_000 + b"\n0", 20_000), (NONE, 1),
                 outcome=EITHER)
    yield _large("one_float_of_many_digits",
                 (b"F0.", 1), (b"1" * 10_000, 1_500), (b"\n", 1),
                 outcome=EITHER)
    yield _large("one_decimal", (b"I", 1), (b"9" * 10_000, 1_500), (b"\n", 1))
    yield _large("states_of_one_object", (NONE + EMPTY_TUPLE + REDUCE, 1),
                 (NONE + BUILD, 15 * MILLION), outcome=EITHER)


def lying():
    """Sizes and indices that cannot be."""
    for name, code in [
            ("binunicode", b"X\xff\xff\xff\xff"), ("binbytes",
                                                   b"B\xff\xff\xff\xff"),
            ("binstring", b"T\xff\xff\xff\x7f"),
            ("binstring_negative", b"T\xff\xff\xff\xff"),
            ("binunicode8", b"\x8d" + b"\xff" * 8),
            ("binunicode8_4gib", b"\x8d" + struct.pack("<Q", 2**32 + 1) + b"x"),
            ("binbytes8", b"\x8e" + b"\xff" * 8),
            ("binbytes8_signed", b"\x8e" + struct.pack("<Q", 2**63)),
            ("bytearray8", b"\x96" + b"\xff" * 7 + b"\x7f"),
            ("long1", b"\x8a\xff"), ("long4", b"\x8b\xff\xff\xff\x7f"),
            ("long4_negative", b"\x8b\xff\xff\xff\xff"),
            ("frame", b"\x95" + b"\xff" * 8 + NONE),
            ("get_far", b"j\xff\xff\xff\xff"), ("get_text", b"g99\n"),
            ("get_negative", b"g-1\n"), ("get_huge", b"g" + b"9" * 99 + b"\n"),
            ("put_negative", NONE + b"p-1\n"), ("int_text", b"I0x10\n"),
            ("long_text", b"L12"), ("float_text", b"Fnone\n"),
            ("string_quotes", b"S'abc\n"), ("string_bare", b"Sabc\n"),
            ("string_escape", b"S'\\x4'\n"), ("unicode_escape", b"V\\ud8\n"),
            ("pop_nothing", POP), ("pop_mark_nothing", b"1"),
            ("tuple_no_mark", TUPLE), ("tuple2_of_one", NONE + TUPLE2),
            ("reduce_nothing", REDUCE), ("build_nothing", BUILD),
            ("append_nothing", NONE + APPEND),
            ("append_to_tuple", EMPTY_TUPLE + NONE + APPEND),
            ("setitems_odd", EMPTY_DICT + MARK + NONE + SETITEMS),
            ("setitem_in_list", EMPTY_LIST + NONE + NONE + SETITEM),
            ("memoize_nothing", MEMOIZE), ("stop_at_once", b""),
            ("ext1", b"\x82\x01"), ("ext2", b"\x83\x01\x00"),
            ("ext4", b"\x84\x01\0\0\0"), ("next_buffer", b"\x97"),
            ("readonly_buffer", NONE + b"\x98"), ("unknown", b"\xf7"),
            ("zero", b"\0"), ("protocol_6", b"\x80\x06" + NONE),
            ("stack_global_of_ints", number(1) + number(2) + STACK_GLOBAL),
            ("stack_global_of_one", text("os") + STACK_GLOBAL),
            ("global_without_end", b"cos\nsystem"), ("inst_no_mark",
                                                     b"im\nn\n"),
            ("obj_nothing", MARK + b"o"),
            ("long_opaque", b"\x8b" + struct.pack("<I", 2000) + bytes(2000))]:
        outcome = EITHER if name in ("long_opaque",) else ERROR
        yield _small("lies_" + name, code, outcome=outcome)
    yield _small("put_far", tensor() + put(2**32 - 1) + POP +
                 state_dict(w=get(2**32 - 1)), outcome=OK, tensors=_TENSORS)
    yield _small("big_long", state_dict(w=tensor(), n=b"\x8a\xc8" + b"\x7f" * 200),
                 outcome=OK, tensors=_TENSORS)


def cases():
    for family in (growing, many_tensors, shared, deep, slow, lying):
        yield from family()
