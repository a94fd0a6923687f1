"""The cases that must give the same bytes on every engine.

A case is one scheme for one input type. The inputs are made with the standard
library alone, from a generator of our own, so that no version of anything can
change them.
"""

import struct
from typing import NamedTuple

from tests.support import safetensors_file

DTYPES = ("F32", "F16", "BF16", "F64")


class Case(NamedTuple):
    """One output that must be the same everywhere."""

    name: str
    recipe: dict  # docs/recipe.md
    dtype: str  # of the input
    to: str  # the output format


def _rules(*rules):
    return {"rules": [{"match": match, "scheme": scheme}
                      for match, scheme in rules]}


def _schemes():
    """Every scheme for every tensor, by name."""
    names = [
        "%s,%s,%s" % (number_format, granularity, symmetry)
        for number_format in ("int8", "uint8", "int4", "uint4")
        for granularity in ("tensor", "axis=0", "axis=1", "group")
        for symmetry in ("symmetric", "asymmetric")
    ]
    names += [name + ",convention=compressed-tensors" for name in names]
    names += ["fp8_e4m3,tensor", "fp8_e4m3,axis=0", "fp8_e4m3,axis=1",
              "fp8_e4m3,group", "fp8_e4m3,block", "int4,block=24,asymmetric"]
    names += ["int4,group,asymmetric,scale_dtype=bf16",
              "int8,axis=0,symmetric,scale_dtype=f16",
              "fp8_e4m3,axis=0,scale_dtype=bf16"]
    names += ["%s,%s" % (number_format, granularity)
              for number_format in ("fp8_e5m2", "nf4", "fp4", "fp4_e2m1")
              for granularity in ("tensor", "axis=0", "axis=1", "group")]
    names += ["nf4,group,scale_dtype=f16", "llm_int8",
              "llm_int8,scale_dtype=bf16"]
    names += [number_format + ",group,scale_dtype=e8m0"
              for number_format in ("fp8_e4m3", "fp8_e5m2", "fp4_e2m1")]
    names += ["fp16", "bf16"]
    recipes = {name: _rules(("*", name)) for name in names}
    # Groups that begin and end within a byte, and do not divide a piece.
    for number_format, asymmetric in (
            ("int8", ",asymmetric"), ("uint4", ",asymmetric"),
            ("fp8_e4m3", ""), ("nf4", ""), ("fp4_e2m1", "")):
        recipes[number_format + " in odd groups"] = _rules(
            ("long_rows.odd", number_format + ",group=123" + asymmetric),
            ("short_rows.odd", number_format + ",group=3,symmetric"),
            ("conv", number_format + ",group=15" + asymmetric),
            ("*", "skip"))
    recipes["defaults"] = {}
    recipes["int4 by default"] = {"defaults": {"format": "int4"}}
    # What has no groups of 16 is left as it is.
    recipes["nvfp4 by default"] = {"defaults": {"format": "nvfp4"}}
    return recipes


def all_cases():
    """Every scheme for every input type, and every output format."""
    recipes = _schemes()
    outputs = [(name, "safetensors") for name in recipes]
    outputs += [(name, to) for to in ("torch", "mqir")
                for name in ("defaults", "int4,group,asymmetric", "bf16",
                             "fp8_e4m3,axis=0", "nf4,group", "llm_int8",
                             "fp4_e2m1,group,scale_dtype=e8m0",
                             "nvfp4 by default")]
    return [
        Case("%s, %s to %s" % (name, dtype, to), recipes[name], dtype, to)
        for name, to in outputs for dtype in DTYPES
    ]


# Names, shapes and the kind of their values. A row is everything but the first
# dimension; pieces of 64 KiB are 8192 to 32768 elements.
_TENSORS = [
    # Rows of several pieces, odd.
    ("long_rows.odd", (3, 123 * 331), "normal"),
    # Rows of several pieces, whole groups of 128.
    ("long_rows.grouped", (2, 256 * 163), "normal"),
    # Many short odd rows: a byte of padding each with 4 bits.
    ("short_rows.odd", (8191, 3), "normal"),
    ("short_rows.grouped", (700, 96), "rows_differ"),
    ("column", (777, 1), "normal"),
    ("row", (1, 1000), "normal"),
    ("conv", (17, 5, 3, 3), "normal"),
    ("conv.grouped", (8, 16, 2, 4), "rows_differ"),
    # Inner axis with several pieces.
    ("cube", (5, 7, 1111), "rows_differ"),
    ("ties", (64, 64), "ties"),
    ("flat", (40, 64), "flat"),
    ("zero", (40, 64), "zero"),
    ("tiny", (40, 64), "tiny"),
    ("outlier", (40, 65), "outlier"),
    ("empty", (0, 64), "normal"),
]


class _Random:
    """xorshift64*, so that the values depend on nothing but this file."""

    def __init__(self, seed):
        self._state = seed

    def bits(self):
        """The next 32 bits."""
        x = self._state
        x ^= x >> 12
        x ^= x << 25 & 0xFFFFFFFFFFFFFFFF
        x ^= x >> 27
        self._state = x
        return (x * 0x2545F4914F6CDD1D & 0xFFFFFFFFFFFFFFFF) >> 32

    def normal(self):
        """Roughly normal, in multiples of 2^-24: exact arithmetic only."""
        total = sum(self.bits() >> 8 for _ in range(4))
        return (total - (2 << 24)) * 2.0**-24


def _value(kind, random, row, index):
    if kind == "normal":
        return random.normal() * 0.0625
    if kind == "rows_differ":
        return random.normal() * 2.0 ** (row % 13 - 6) + row % 3
    if kind == "ties":
        return (random.bits() % 255 - 127.5) * 2.0**-7
    if kind == "flat":
        return -0.40625
    if kind == "zero":
        return -0.0 if random.bits() % 2 else 0.0
    if kind == "tiny":
        # Subnormal as float32, and as half.
        return (random.bits() % 65 - 32) * 2.0 ** (-149 if row % 2 else -24)
    assert kind == "outlier"
    return 240.0 if index == 1234 else random.normal() * 2.0**-10


def _encode(values, dtype):
    if dtype == "BF16":
        # Cut off, not rounded: any bfloat16 will do.
        whole = struct.pack("<%df" % len(values), *values)
        return b"".join(whole[i + 2:i + 4] for i in range(0, len(whole), 4))
    code = {"F64": "d", "F32": "f", "F16": "e"}[dtype]
    return struct.pack("<%d%s" % (len(values), code), *values)


def make_inputs(folder):
    """Writes one checkpoint for each dtype; returns {dtype: path}."""
    values = []
    for seed, (name, shape, kind) in enumerate(_TENSORS, 1):
        random = _Random(seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF)
        row = 1
        for dim in shape[1:]:
            row *= dim
        count = shape[0] * row
        values.append([_value(kind, random, i // row, i)
                       for i in range(count)])
    paths = {}
    for dtype in DTYPES:
        paths[dtype] = "%s/%s.safetensors" % (folder, dtype)
        safetensors_file.write(paths[dtype], [
            safetensors_file.Entry(name, dtype, shape, _encode(data, dtype))
            for (name, shape, _), data in zip(_TENSORS, values)])
    return paths
