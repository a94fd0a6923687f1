"""Files that are two things at once, and files that are something else."""

import gzip
import lzma

from tests.hostile import (
    flatbuffer_cases, legacy_cases, mqir_cases, numpy_cases, tar_cases, zips)
from tests.hostile.case import EITHER, ERROR, directory_case, file_case
from tests.hostile.pickles import *
from tests.hostile.safetensors_cases import ENTRY, safetensors
from tests.hostile.zip_cases import MEMBERS


def cases():
    archive = zips.archive(MEMBERS)
    tensors = safetensors({"w": ENTRY})
    legacy, tar = legacy_cases.stream(), tar_cases.tar()
    files = {"zip": archive, "safetensors": tensors, "legacy": legacy,
             "tar": tar, "mqir": mqir_cases.mqir(),
             "mobile": flatbuffer_cases.module(),
             "pickle": numpy_cases.array_pickle()}
    # Whatever stands first, nothing may follow it unnoticed.
    for first, front in files.items():
        for second, back in files.items():
            if first != second:
                strict = first in ("zip", "safetensors", "mqir")
                yield file_case("polyglot_%s_and_%s" % (first, second),
                                front + back, ERROR if strict or
                                second == "zip" and first == "safetensors"
                                else EITHER)
    # A zip archive whose offsets are right although something precedes it.
    for name, front in {"html": b"<!doctype html><script>alert(1)</script>",
                        "elf": b"\x7fELF" + bytes(60), "exe": b"MZ" + bytes(60),
                        "shell": b"#!/bin/sh\necho > CANARY\n",
                        "pdf": b"%PDF-1.4\n", "gif": b"GIF89a" + bytes(20),
                        "text": b"hello\n", "pickle": program(NONE)}.items():
        yield file_case("polyglot_%s_before_zip" % name,
                        zips.archive(MEMBERS, prefix=front), ERROR)
    tar_of_zip = tar_cases.tar({"PK\3\4": b"x", **tar_cases.CONTENTS})
    yield file_case("polyglot_tar_beginning_like_zip", tar_of_zip, ERROR)
    size = len(tensors)
    yield file_case("polyglot_safetensors_with_zip_inside", safetensors(
        {"w": {"dtype": "U8", "shape": [len(archive)],
               "data_offsets": [0, len(archive)]}}, archive), EITHER)
    yield file_case("polyglot_zip_with_safetensors_inside", zips.archive(
        [*MEMBERS, zips.Member(b"archive/model.safetensors", tensors)]), EITHER)
    yield file_case("polyglot_zip_in_zip", zips.archive(
        [zips.Member(b"model.pt", archive)]), ERROR)
    yield file_case("polyglot_zip_comment_is_a_pickle", zips.archive(
        MEMBERS, end_comment=program(NONE)), EITHER)
    foreign = {
        "gzip": gzip.compress(archive, mtime=0), "xz": lzma.compress(archive),
        "bzip2": b"BZh91AY&SY" + bytes(40), "zstd": b"\x28\xb5\x2f\xfd" +
        bytes(40), "7z": b"7z\xbc\xaf\x27\x1c\0\4" + bytes(60),
        "rar": b"Rar!\x1a\7\1\0" + bytes(60),
        "hdf5": b"\x89HDF\r\n\x1a\n" + bytes(500), "gguf": b"GGUF" +
        b"\xff" * 60, "onnx": b"\x08\x07\x12\x07pytorch" + bytes(60),
        "npy": b"\x93NUMPY\1\0v\0{'descr': '<f4'}",
        "lfs": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        "html": b"<html><body>not found</body></html>",
        "error": b'{"error": "repository not found"}', "space": b" " * 5000,
        "zeros": bytes(5000), "ones": b"\xff" * 5000, "one_byte": b"\x80",
        "newline": b"\n", "t7": b"\4\0\0\0\1\0\0\0" + bytes(60),
        "escapes": b"\x1b[2J\x1b]0;owned\x07" * 100,
        "size": size.to_bytes(8, "little")}
    for name, data in foreign.items():
        yield file_case("foreign_" + name, data, ERROR)
        yield directory_case("foreign_shard_" + name, {
            "model.safetensors": data})
