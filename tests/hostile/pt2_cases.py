"""Archives of torch.export: JSON beside raw storages, archives in archives."""

import json
import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, file_case
from tests.hostile.pickles import *
from tests.hostile.zips import Member

VALUES = struct.pack("<4f", 1, 2, 3, 4)
_META = {
    "dtype": 7, "sizes": [{"as_int": 2}, {"as_int": 2}], "requires_grad": True,
    "device": {"type": "cpu", "index": None},
    "strides": [{"as_int": 2}, {"as_int": 1}],
    "storage_offset": {"as_int": 0}, "layout": 7}
_ENTRY = {"path_name": "weight_0", "is_param": True, "use_pickle": False,
          "tensor_meta": _META}


def _config(entry=None, meta=None):
    entry = {**_ENTRY, **(entry or {})}
    if meta is not None:
        entry["tensor_meta"] = {**_META, **meta}
    return json.dumps({"config": {"w": entry}}).encode()


def _members(config=None, weights=VALUES, **extra):
    return {"archive_format": b"pt2", "archive_version": b"0",
            "data/weights/model_weights_config.json":
                _config() if config is None else config,
            "data/weights/weight_0": weights,
            "models/model.json": b"{}", "byteorder": b"little", **extra}


def _archive(members):
    return zips.archive([Member(b"m/" + name.encode(), data)
                         for name, data in members.items()])


def _inner(*size):
    stride = [size[1], 1] if len(size) == 2 else [1] * len(size)
    return zips.torch_zip(program(state_dict(w=tensor(
        size=size, stride=stride))), {"0": VALUES})


def seeds():
    """(kind of archive_fuzz.cc, contents of its members)."""
    yield 5, [_config(), b"pt2", b"0", VALUES]
    yield 5, [_config({"use_pickle": True}), b"pt2", b"0", zips.torch_zip(
        program(tensor()), {"0": VALUES})]
    yield 6, [json.dumps({"w": ["weight_0", [2, 2], [2, 1], 0]}).encode(),
              b"pt2", b"0", zips.torch_zip(program(tensor()), {"0": VALUES})]
    yield 7, [_inner(2, 2), b"{}", b"1", _inner(4)]


def _case(name, outcome=ERROR, members=None, **changes):
    return file_case("pt2_" + name, _archive(members or _members(**changes)),
                     outcome, ".pt2")


def _ints(*values):
    return [{"as_int": value} for value in values]


def cases():
    yield _case("as_it_should_be", outcome=EITHER)
    for name, meta in {
            "sizes_beyond": dict(sizes=_ints(3, 2)),
            "sizes_negative": dict(sizes=_ints(-2, 2)),
            "sizes_overflow": dict(sizes=_ints(2**32, 2**32)),
            "sizes_expr": dict(sizes=[{"as_expr": {
                "expr_str": "__import__('os').system('echo > CANARY')"}}] * 2),
            "sizes_bare": dict(sizes=[2, 2]), "sizes_none": dict(sizes=None),
            "sizes_65": dict(sizes=_ints(*[1] * 65), strides=_ints(*[1] * 65)),
            "strides_beyond": dict(strides=_ints(3, 1)),
            "strides_negative": dict(strides=_ints(-2, 1)),
            "strides_wrap": dict(strides=_ints(2**63 - 1, 1)),
            "strides_fewer": dict(strides=_ints(1)),
            "strides_0": dict(sizes=_ints(2**40, 2**20), strides=_ints(0, 0)),
            "offset_beyond": dict(storage_offset={"as_int": 1}),
            "offset_wraps": dict(storage_offset={"as_int": 2**62}),
            "offset_negative": dict(storage_offset={"as_int": -1}),
            "offset_expr": dict(storage_offset={"as_expr": "1"}),
            "dtype_0": dict(dtype=0), "dtype_99": dict(dtype=99),
            "dtype_text": dict(dtype="float32"), "dtype_f64": dict(dtype=8),
            "layout_sparse": dict(layout=1)}.items():
        yield _case(name, EITHER if name == "sizes_bare" else ERROR,
                    config=_config(meta=meta))
    for path in ("../weight_0", "/etc/passwd", "", "weight_9", "a/../weight_0",
                 "\x1b[2J", "weight_0\0"):
        yield _case("path_" + "".join(c if c.isalnum() else "_" for c in path),
                    config=_config({"path_name": path}))
    for name, config in {
            "broken": b"{", "list": b"[]", "empty": b"", "no_config": b"{}",
            "config_list": b'{"config": []}', "entry_none":
                b'{"config": {"w": null}}', "deep": b"[" * 1_000_000,
            "duplicate": b'{"config": {"w": 1, "w": 2}}',
            "no_utf8": b'{"\xff": 1}'}.items():
        yield _case("config_" + name, config=config)
    yield _case("config_of_zeros", config=b'{"config": [0' + b",0" *
                20_000_000 + b"]}")
    yield _case("pickled_is_no_archive", config=_config({"use_pickle": True}))
    evil = zips.torch_zip(program(call(global_("os", "system"),
                                       text("echo > CANARY"))), {})
    yield _case("pickled_payload", config=_config({"use_pickle": True}),
                weights=evil)
    yield _case("weights_cut", weights=VALUES[:-1])
    yield _case("weights_empty", weights=b"")
    yield _case("version_9", members=_members(archive_version=b"9"),
                outcome=EITHER)
    yield _case("format_other", members=_members(archive_format=b"pt3"),
                outcome=EITHER)
    yield _case("constants_broken", outcome=EITHER, members=_members(**{
        "data/constants/model_constants_config.json": b"{"}))
    package = {"archive_format": b"pt2", "archive_version": b"0",
               "data/aotinductor/model/x.so": b"\x7fELF"}
    yield _case("only_a_library", members=package)
    for name, value in {
            "broken": b"{", "list": b"[]", "path": b'{"w": ["../x",[2],[1],0]}',
            "negative": b'{"w": ["weight_0", [-2], [1], 0]}',
            "huge": b'{"w": ["weight_0", [4611686018427387904], [1], 0]}',
            "short": b'{"w": []}'}.items():
        yield _case("aot_" + name, members={
            **package, "data/aotinductor/model/weights_config.json": value,
            "data/weights/weight_0": _inner(2, 2)})
    # Archives in archives, as deep as that goes.
    inner = _inner(2, 2)
    for name, state in {
            "as_it_should_be": inner, "cut": inner[:-9], "empty": b"",
            "text": b"hello", "payload": evil, "flipped":
                inner[:60] + bytes([inner[60] ^ 1]) + inner[61:]}.items():
        yield file_case("pt2_old_" + name, zips.archive([
            Member(b"serialized_state_dict.pt", state),
            Member(b"serialized_exported_program.json", b"{}"),
            Member(b"version", b"5.1")]), EITHER if name == "as_it_should_be"
            else ERROR, ".pt2")
    nested = inner
    for _ in range(100):
        nested = zips.archive([
            Member(b"serialized_state_dict.pt", nested),
            Member(b"serialized_exported_program.json", b"{}"),
            Member(b"version", b"5.1")])
    yield file_case("pt2_old_in_itself_100_times", nested, ERROR, ".pt2")
    yield file_case("pt2_old_deflated", zips.archive([
        Member(b"serialized_state_dict.pt", inner, deflate=True),
        Member(b"serialized_exported_program.json", b"{}")]), EITHER, ".pt2")
