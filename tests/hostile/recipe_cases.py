"""Recipes: a sound model, and a JSON file that is not."""

import json
import os

from tests.hostile.case import EITHER, ERROR, OK, Case
from tests.hostile.safetensors_cases import ENTRY, safetensors

GOOD = [
    b"{}",
    json.dumps({"defaults": "int4,group=64", "rules": [
        {"match": "*.head.*", "scheme": "skip"},
        {"match": "a.?.weight", "scheme": {
            "format": "int8", "granularity": "axis", "axis": 1,
            "symmetric": False, "convention": "compressed-tensors"}}],
        "only_rules": False, "min_elements": 0, "nonfinite": "keep",
        "layer_types": ["Linear", "LSTM"],
        "allow_unmatched": True}).encode(),
    json.dumps({"defaults": {"format": "uint4", "granularity": "group",
                             "observer": "minmax",
                             "algorithm": "rtn"}}).encode(),
]


def _case(name, content, outcome=ERROR):
    def make(folder):
        data = content() if callable(content) else content
        with open(os.path.join(folder, "recipe.json"), "wb") as file:
            file.write(data if isinstance(data, bytes) else
                       json.dumps(data).encode())
        path = os.path.join(folder, "model.safetensors")
        with open(path, "wb") as file:
            file.write(safetensors({"w": ENTRY}))
        return path

    return Case("recipe_" + name, outcome, make, recipe="recipe.json")


def _rule(**fields):
    return {"rules": [{"match": "*", "scheme": "int8", **fields}]}


def cases():
    yield _case("as_it_should_be", GOOD[2], OK)
    for name, content in {
            "empty": b"", "broken": b"{", "list": [], "number": 7, "null": None,
            "text": b"int4", "unknown": {"evil": 1}, "bom": b"\xef\xbb\xbf{}",
            "utf16": "{}".encode("utf-16"), "rest": b"{}{}",
            "duplicate": b'{"min_elements": 1, "min_elements": 2}',
            "deep": b"[" * 1_000_000, "deep_rules": b'{"rules":' * 100_000,
            "nan": b'{"min_elements": NaN}', "1e999": b'{"min_elements": 1e999}',
            "float": {"min_elements": 1.5}, "negative": {"min_elements": -1},
            "huge": {"min_elements": 2**63}, "huger": {"min_elements": 10**400},
            "rules_object": {"rules": {}}, "rules_null": {"rules": None},
            "rule_text": {"rules": ["*"]}, "rule_empty": {"rules": [{}]},
            "match_number": _rule(match=1), "match_empty": _rule(match=""),
            "match_of_nothing": _rule(match="nobody"),
            "match_escape": _rule(match="\x1b[2J\n"),
            "scheme_unknown": _rule(scheme="int5"),
            "scheme_escape": _rule(scheme="\x1b[2J\n"),
            "scheme_long": _rule(scheme="int8," * 1_000_000),
            "scheme_number": _rule(scheme=8), "scheme_null": _rule(scheme=None),
            "axis_huge": _rule(scheme="int8,axis=99999999999999999999"),
            "axis_negative": _rule(scheme="int8,axis=-2147483649"),
            "axis_beyond": _rule(scheme="int8,axis=7"),
            "group_0": _rule(scheme={"format": "int4", "granularity": "group",
                                     "group_size": -1}),
            "group_3": _rule(scheme="int4,group=3"),
            "group_huge": _rule(scheme="int4,group=9223372036854775807"),
            "group_of_tensor": _rule(scheme={"format": "int8", "granularity":
                                             "tensor", "group_size": 64}),
            "observer_unknown": _rule(scheme="int8,observer=os.system"),
            "no_utf8": b'{"defaults": "\xff"}',
            "number_of_a_million_digits": b'{"min_elements": ' + b"9" *
                1_000_000 + b"}"}.items():
        yield _case(name, content)
    # Exponential to those who backtrack.
    yield _case("glob_of_stars", _rule(match="*a" * 5_000 + "b"))
    yield _case("many_rules", {"rules": [
        {"match": "%d*" % i, "scheme": "skip"} for i in range(100_000)],
        "allow_unmatched": True}, EITHER)
    yield _case("of_zeros", lambda: b'{"rules": [0' + b",0" * 30_000_000 +
                b"]}")
    yield _case("of_100_mb", lambda: b'{"defaults": "' + b"x" * 100_000_000 +
                b'"}')
