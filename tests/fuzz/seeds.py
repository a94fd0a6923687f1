"""Writes the seeds of a fuzz target: seeds.py TARGET FOLDER.

Small sound files and some of the hostile ones, in the form that the target
takes its input in.
"""

import json
import os
import struct
import sys

from tests.hostile import (
    dcp_cases,
    flatbuffer_cases,
    legacy_cases,
    mqir_cases,
    numpy_cases,
    pt2_cases,
    recipe_cases,
    safetensors_cases,
    scanner_bypasses,
    tar_cases,
    torchscript_cases,
    zip_cases,
    zips,
)
from tests.hostile.pickles import *

# What fuzz_target.h splits an input by.
BETWEEN = b"\xfe\xfd"
VALUES = struct.pack("<4f", 1, 2, 3, 4)


def _parts(first, *parts):
    return bytes([first]) + BETWEEN.join(parts)


def _pickles():
    yield zip_cases.PICKLE
    yield program(dict_(
        (text("state_dict"), state_dict(w=tensor())),
        (text("optimizer"), dict_((text("lr"), b"G" + bytes(8)))),
        (text("epoch"), number(70_000)), (text("x"), list_(TRUE, NONE))))
    yield program(new(global_("m", "Net"), dict_(
        (text("_parameters"), dict_((text("w"), call(
            global_("torch._utils", "_rebuild_parameter"), tensor(), TRUE,
            ORDERED_DICT)))),
        (text("_buffers"), EMPTY_DICT), (text("_modules"), EMPTY_DICT))))
    yield program(call(
        stack_global("torch._utils", "_rebuild_tensor_v3"),
        storage("0", 16, "UntypedStorage"), number(0), ints((4, 4)),
        ints((4, 1)), FALSE, ORDERED_DICT, global_("torch", "float8_e4m3fn")),
        proto=4)
    yield program(call(
        global_("torch._utils", "_rebuild_qtensor"),
        storage("0", 16, "QInt8Storage"), number(0), ints((4, 4)), ints((4, 1)),
        tuple_(global_("torch", "per_channel_affine"), tensor(), tensor(),
               number(0)), FALSE, ORDERED_DICT))
    yield numpy_cases.array_pickle()
    for name in scanner_bypasses.LIVE[::3]:
        yield scanner_bypasses.payload(name)
    # Every instruction that reads an argument, and some text forms.
    yield program(
        b"I12\nI01\nL5L\nF1.5\nS'a\\x41'\nVu\\u0041\n", b"\x8a\x01\x07",
        b"\x8b\2\0\0\0\1\2", short_text("s"), b"U\1aT\1\0\0\0b", b"C\1c",
        blob(b"d"), b"p0\ng0\nq\1h\1", put(2), get(2), MEMOIZE, b"e"[:0],
        b"(", number(1), number(2), b"\x91", EMPTY_SET, b"(N\x90",
        b"(Nd"[:0], MARK, NONE, NONE, b"d", MARK, NONE, b"l", proto=4)


def zip_():
    members = zip_cases.MEMBERS
    yield zips.archive(members)
    yield zips.archive(members, zip64=True)
    yield zips.archive(members, end_comment=b"comment")
    yield zips.archive([members[0]._replace(deflate=True), *members[1:]])
    yield zips.archive([])
    sizes = struct.pack("<QQ", 16, 16)
    yield zips.archive([members[0], members[1]._replace(
        size=0xFFFFFFFF, stored=0xFFFFFFFF, extra=b"\1\0\x10\0" + sizes)])


def pickle():
    return _pickles()


def rebuild():
    # Decisions, not files: any bytes will do, and coverage finds better ones.
    for start in range(0, 240, 8):
        yield bytes((start + k * (2 * start + 1)) % 256 for k in range(120))


def archive():
    for pickled in _pickles():
        yield _parts(0, pickled, VALUES * 4, b"little", b"3\n")
    yield _parts(0, zip_cases.PICKLE, VALUES, b"big")
    for kind, members in torchscript_cases.seeds():
        yield _parts(kind, *members)
    for kind, members in pt2_cases.seeds():
        yield _parts(kind, *members)


def legacy():
    yield _parts(0, legacy_cases.stream())
    yield _parts(0, *[part for _, part in legacy_cases.parts()])
    yield _parts(1, *tar_cases.CONTENTS.values())


def safetensors():
    for header, data in [
            ({"w": safetensors_cases.ENTRY}, VALUES),
            ({"__metadata__": {"format": "pt", "monoquant.ties": '{"v":"w"}'},
              "w": safetensors_cases.ENTRY}, VALUES),
            ({"a": {"dtype": "F4", "shape": [4, 2], "data_offsets": [0, 4]},
              "b": {"dtype": "BF16", "shape": [], "data_offsets": [4, 6]},
              "c": {"dtype": "U8", "shape": [0, 3], "data_offsets": [6, 6]}},
             b"123456"),
            ({"w": {"dtype": "F8_E4M3", "shape": [4, 4],
                    "data_offsets": [0, 16]},
              "w_scale_inv": {"dtype": "F32", "shape": [1, 1],
                              "data_offsets": [16, 20]}}, VALUES + b"\0\0\0?"),
            ({}, b"")]:
        yield _parts(0, json.dumps(header).encode(), data)
        yield b"\xff" + safetensors_cases.safetensors(header, data)


def dcp():
    yield _parts(0, dcp_cases.METADATA, dcp_cases.DATA)
    index = json.dumps({"metadata": {}, "weight_map": {
        "w": "a.safetensors", "v": "b.safetensors"}}).encode()
    entry = safetensors_cases.ENTRY
    yield _parts(1, index, safetensors_cases.safetensors({"w": entry}),
                 safetensors_cases.safetensors({"v": entry}))
    yield _parts(2, json.dumps({"weight_map": {"w": "a.bin"}}).encode(),
                 zips.archive(zip_cases.MEMBERS))
    yield _parts(3, safetensors_cases.safetensors({"w": entry}), b"{}")


def mqir():
    yield _parts(0, mqir_cases.INDEX, mqir_cases.PAYLOAD)
    yield b"\xff" + mqir_cases.mqir()


def recipe():
    for text_of in recipe_cases.GOOD:
        yield b"\1" + text_of
    for rule in (b"*.weight=int4,group=64,asymmetric", b"head.*=skip",
                 b"a=int8,axis=1", b"f=fp8_e4m3,group=32",
                 b"g=nf4,group=64", b"h=fp4_e2m1,scale_dtype=e8m0", b"i=nvfp4",
                 b"j=llm_int8,axis=0", b"k=fp4,double_quant",
                 b"b=uint4,convention=compressed-tensors",
                 b"c=fp16", b"*=int8,tensor,observer=minmax,algorithm=rtn"):
        yield b"\0" + rule


def checkpoint():
    yield from flatbuffer_cases.seeds()
    yield from numpy_cases.seeds()
    yield zips.archive(zip_cases.MEMBERS)
    yield legacy_cases.stream()
    yield tar_cases.tar()
    yield mqir_cases.mqir()
    yield safetensors_cases.safetensors({"w": safetensors_cases.ENTRY})


_TARGETS = {
    "archive": archive, "checkpoint": checkpoint, "dcp": dcp, "legacy": legacy,
    "mqir": mqir, "pickle": pickle, "rebuild": rebuild, "recipe": recipe,
    "safetensors": safetensors, "zip": zip_,
}


def main(target, folder):
    os.makedirs(folder, exist_ok=True)
    for number_of, seed in enumerate(_TARGETS[target]()):
        with open(os.path.join(folder, "%03d" % number_of), "wb") as file:
            file.write(seed)


if __name__ == "__main__":
    main(*sys.argv[1:])
