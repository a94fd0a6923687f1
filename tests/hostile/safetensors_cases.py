"""safetensors: headers that lie, and JSON that is a bomb."""

import json
import struct

from tests.hostile.case import (EITHER, ERROR, OK, cuts, file_case, flips)

VALUES = struct.pack("<4f", 1, 2, 3, 4)
ENTRY = {"dtype": "F32", "shape": [2, 2], "data_offsets": [0, 16]}
TENSORS = {"w": ("F32", [2, 2], VALUES)}


def parts(header, data=VALUES, size=None):
    if not isinstance(header, bytes):
        header = json.dumps(header).encode()
    return [("size", struct.pack("<Q", len(header) if size is None else size)),
            ("header", header), ("data", data)]


def safetensors(header, data=VALUES, size=None):
    return b"".join(part for _, part in parts(header, data, size))


def _case(name, header, outcome=ERROR, data=VALUES, size=None, **kwargs):
    return file_case("safetensors_" + name, safetensors(header, data, size),
                     outcome, ".safetensors", **kwargs)


def _sizes():
    yield _case("as_it_should_be", {"w": ENTRY}, OK, tensors=TENSORS)
    for size in (0, 1, 2, 5, 100_000_000, 100_000_001, 2**31, 2**32, 2**63,
                 2**64 - 8, 2**64 - 1):
        yield _case("header_size_%d" % size, {"w": ENTRY}, size=size)
    yield _case("data_less", {"w": ENTRY}, data=VALUES[:-1])
    yield _case("data_more", {"w": ENTRY}, data=VALUES + b"x")
    yield _case("data_none", {"w": ENTRY}, data=b"")
    yield _case("no_tensors", {}, EITHER, data=b"")
    yield _case("no_tensors_but_data", {})


def _entries():
    lies = {
        "begin_negative": dict(data_offsets=[-1, 15]),
        "begin_beyond_end": dict(data_offsets=[16, 0]),
        "offsets_beyond": dict(data_offsets=[16, 32]),
        "offsets_2_63": dict(data_offsets=[2**63 - 8, 2**63 + 8]),
        "offsets_2_64": dict(data_offsets=[2**64 - 8, 2**64 + 8]),
        "offsets_wrap": dict(data_offsets=[2**64 - 16, 2**64 - 1]),
        "offsets_of_floats": dict(data_offsets=[0.0, 16.0]),
        "offsets_of_text": dict(data_offsets=["0", "16"]),
        "offsets_one": dict(data_offsets=[16]),
        "offsets_three": dict(data_offsets=[0, 8, 16]),
        "offsets_object": dict(data_offsets={"begin": 0}),
        "offsets_hole": dict(data_offsets=[1, 17]),
        "shape_negative": dict(shape=[-2, -2]),
        "shape_of_floats": dict(shape=[2.0, 2.0]),
        "shape_of_text": dict(shape="22"),
        "shape_huge": dict(shape=[2**62, 4]),
        "shape_overflows": dict(shape=[2**32, 2**32]),
        "shape_overflows_to_4": dict(shape=[2**63, 2, 2**62, 4]),
        "shape_overflows_bits": dict(shape=[2**61]),
        "shape_1e400": dict(shape=[10**400]),
        "shape_null": dict(shape=None),
        "shape_nested": dict(shape=[[2, 2]]),
        "shape_another": dict(shape=[2, 3]),
        "shape_of_65": dict(shape=[1] * 63 + [2, 2]),
        "shape_of_a_million": dict(shape=[1] * 1_000_000),
        "shape_empty": dict(shape=[]),
        "dtype_unknown": dict(dtype="F33"),
        "dtype_lower": dict(dtype="f32"),
        "dtype_number": dict(dtype=32),
        "dtype_escape": dict(dtype="\x1b[31mF32\n"),
        "dtype_long": dict(dtype="F" * 1_000_000),
        "dtype_of_one_bit": dict(dtype="F4", shape=[1], data_offsets=[0, 16]),
        "dtype_of_half_bytes": dict(dtype="F4", shape=[31]),
    }
    for name, lie in lies.items():
        yield _case(name, {"w": {**ENTRY, **lie}})
    for key in ENTRY:
        yield _case("without_" + key, {
            "w": {k: v for k, v in ENTRY.items() if k != key}})
    yield _case("entry_null", {"w": None})
    yield _case("entry_list", {"w": [1]})
    yield _case("unknown_key", {"w": {**ENTRY, "evil": 1}}, OK, tensors=TENSORS)
    half = {**ENTRY, "shape": [2]}
    for name, first, second in [("overlap", [0, 8], [4, 12]),
                                ("same", [0, 8], [0, 8]),
                                ("hole", [0, 8], [9, 17]),
                                ("not_covered", [0, 4], [8, 12])]:
        yield _case("two_" + name, {"a": {**half, "data_offsets": first},
                                    "b": {**half, "data_offsets": second}})
    for name, metadata in [("list", []), ("number", {"a": 1}),
                           ("nested", {"a": {"b": "c"}}), ("null", None)]:
        yield _case("metadata_" + name, {"__metadata__": metadata, "w": ENTRY})
    ties = {"x": "w"}
    for name, value in [("broken", "{"), ("list", "[]"),
                        ("absent", json.dumps({"x": "nobody"})),
                        ("itself", json.dumps({"w": "w"})),
                        ("circle", json.dumps({"x": "y", "y": "x"})),
                        ("number", json.dumps({"x": 1})),
                        ("deep", "[" * 100_000)]:
        yield _case("ties_" + name, {"__metadata__": {"monoquant.ties": value},
                                     "w": ENTRY})
    yield _case("ties_right", {
        "__metadata__": {"monoquant.ties": json.dumps(ties)}, "w": ENTRY}, OK)
    for name, value in [("broken", "{"), ("empty", "{}"), ("deep", "[" * 9999),
                        ("number", "7")]:
        yield _case("record_" + name, {
            "__metadata__": {"monoquant": value, "monoquant.record": value},
            "w": ENTRY}, EITHER)
    for name, text in [("escape", "\x1b[2J\x07"), ("newline", "w\nfine"),
                       ("zero", "w\0"), ("surrogate", "\ud800"),
                       ("long", "n" * 1_000_000), ("empty", "")]:
        yield _case("name_" + name, {text: ENTRY}, EITHER)
        yield _case("name_broken_" + name, {text: {**ENTRY, "shape": [5]}})


def _json():
    entry = json.dumps(ENTRY)
    texts = {
        "not_json": b"{hello}", "cut": b'{"w": ' + entry.encode()[:-2],
        "list": b"[]", "number": b"7", "string": b'"w"', "null": b"null",
        "leading_space": b"   {}", "rest": b'{"w": %s}x' % entry.encode(),
        "two_objects": b"{}{}", "comment": b"{/*x*/}",
        "trailing_comma": b'{"w": %s,}' % entry.encode(),
        "single_quotes": b"{'w': 1}", "zeros_behind": b"{}\0\0\0\0",
        "duplicate": ('{"w": %s, "w": %s}' % (entry, entry)).encode(),
        "duplicate_by_escape": ('{"w": %s, "\\u0077": %s}' % (
            entry, entry)).encode(),
        "duplicate_shape":
            b'{"w": {"dtype": "F32", "shape": [9], "shape": [2, 2],'
            b' "data_offsets": [0, 16]}}',
        "nan": b'{"w": {"dtype": "F32", "shape": [NaN], "data_offsets": [0,1]}}',
        "infinity": b'{"w": Infinity}', "1e999": b'{"w": 1e999}',
        "minus_zero": b'{"w": {"dtype": "F32", "shape": [2, 2],'
                      b' "data_offsets": [-0, 16]}}',
        "hex": b'{"w": 0x10}', "octal": b'{"w": 010}',
        "bom": b"\xef\xbb\xbf{}", "utf16": "{}".encode("utf-16"),
        "no_utf8": b'{"\xff": 1}', "overlong": b'{"\xc0\xaf": 1}',
        "half_surrogate": b'{"\\ud800": 1}', "control": b'{"a\nb": 1}',
        "escape": b'{"\\x41": 1}', "deep": b'{"a": ' + b"[" * 1_000_000,
        "deep_objects": b'{"a":' * 1_000_000,
        "deep_closed": b'{"a": ' + b"[" * 65 + b"]" * 65 + b"}",
        "number_of_a_million_digits": b'{"a": ' + b"9" * 1_000_000 + b"}",
        "fraction_of_a_million_digits": b'{"a": 0.' + b"1" * 1_000_000 + b"}",
        "exponent_of_a_million_digits": b'{"a": 1e' + b"1" * 1_000_000 + b"}",
    }
    for name, text in texts.items():
        outcome = EITHER if name == "minus_zero" else ERROR
        yield file_case("json_" + name, safetensors(text), outcome,
                        ".safetensors")
    # Up to the limit of 100 MB, and each byte more than one in memory.
    size = 99_000_000

    def large(name, begin, piece, end, outcome=EITHER):
        count = (size - len(begin) - len(end)) // len(piece)
        return file_case("json_" + name, lambda: [
            struct.pack("<Q", len(begin) + count * len(piece) + len(end)),
            begin, piece * count, end, VALUES], outcome, ".safetensors",
            heavy=True)

    yield large("of_zeros", b'{"w":{"shape":[0', b",0", b"]}}", ERROR)
    yield large("of_lists", b'{"w":{"x":[0', b",[]", b"]}}", ERROR)
    yield large("of_nests", b'{"w":{"x":[0', b",[[[[[[[[]]]]]]]]", b"]}}", ERROR)
    yield large("of_objects", b'{"w":{"x":[0', b',{"a":0}', b"]}}", ERROR)
    yield large("of_strings", b'{"w":{"x":[0', b',"twenty bytes of text"',
                b"]}}", ERROR)
    yield large("of_one_string", b'{"__metadata__":{"x":"', b"x", b'"}}', ERROR)
    yield large("of_escapes", b'{"__metadata__":{"x":"', b"\\u20ac", b'"}}',
                ERROR)
    yield large("of_spaces", b'{"w":%s' % entry.encode(), b" ", b"}")
    yield large("of_true", b'{"w":[0', b",true", b"]}", ERROR)

    def many(name, template, count, data=b"", outcome=EITHER):
        def make():
            rows = (template % ((i,) * template.count(b"%"))
                    for i in range(count))
            header = b"{" + b",".join(rows) + b"}"
            return [struct.pack("<Q", len(header)), header, data]
        return file_case("json_" + name, make, outcome, ".safetensors",
                         heavy=True)

    yield many("a_million_tensors",
               b'"%06x":{"dtype":"U8","shape":[0],"data_offsets":[0,0]}',
               1_000_000)
    yield many("a_million_scalars",
               b'"%06x":{"dtype":"U8","shape":[],"data_offsets":[%d,1]}',
               1_000_000, outcome=ERROR)
    yield many("a_million_keys", b'"%x":0', 6_000_000, outcome=ERROR)
    yield many("tensors_of_64_dims",
               b'"%x":{"dtype":"U8","shape":[0' + b",0" * 63 +
               b'],"data_offsets":[0,0]}', 400_000)

    def metadata():
        rows = b",".join(b'"%x":""' % i for i in range(8_000_000))
        header = b'{"__metadata__":{' + rows + b"}}"
        return [struct.pack("<Q", len(header)), header]
    yield file_case("json_metadata_of_millions", metadata, EITHER,
                    ".safetensors", heavy=True)


def cases():
    good = {"__metadata__": {"k": "v"}, "w": ENTRY}
    yield from cuts("safetensors", parts(good), extension=".safetensors")
    data = safetensors(good)
    yield from flips("safetensors", data, range(0, len(data) - 16, 7),
                     extension=".safetensors")
    for family in (_sizes, _entries, _json):
        yield from family()
