"""TorchScript: old archives with model.json, newer ones with constants.pkl."""

import json
import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, file_case
from tests.hostile.pickles import *
from tests.hostile.zips import Member

VALUES = struct.pack("<4f", 1, 2, 3, 4)
_TENSOR = {"dims": ["2", "2"], "strides": ["2", "1"], "offset": "0",
           "dataType": "FLOAT", "data": {"key": "tensors/0"}}


def _model(tensor_=None, module=None, **more):
    return json.dumps({
        "protoVersion": "2",
        "mainModule": module or {"parameters": [
            {"name": "w", "tensorId": "0", "isBuffer": False}]},
        "tensors": [{**_TENSOR, **(tensor_ or {})}], **more}).encode()


def _module_pickle():
    return program(new(global_("__torch__.m", "Net"), dict_(
        (text("w"), tensor()), (text("training"), TRUE))))


def seeds():
    """(kind of archive_fuzz.cc, contents of its members)."""
    yield 3, [_model(), VALUES, VALUES]
    constants = program(EMPTY_TUPLE)
    yield 1, [_module_pickle(), constants, b"class Net:", VALUES]
    yield 2, [_module_pickle(), constants, program(EMPTY_TUPLE), VALUES]
    packed = program(new(global_("__torch__.m", "Net"), dict_((
        text("_packed_params"), new(global_(
            "__torch__.torch.classes.quantized", "LinearPackedParamsBase"),
            tuple_(tensor(), NONE))))))
    yield 1, [packed, constants, b"", VALUES]


def _old(name, model, outcome=ERROR, weights=VALUES):
    return file_case("torchscript_old_" + name, zips.archive([
        Member(b"m/version", b"1\n"), Member(b"m/model.json", model),
        Member(b"m/tensors/0", weights)]), outcome)


def cases():
    yield _old("as_it_should_be", _model(), EITHER)
    for name, lies in {
            "dims_beyond": dict(dims=["3", "2"]),
            "dims_negative": dict(dims=["-2", "2"]),
            "dims_overflow": dict(dims=["4294967296", "4294967296"]),
            "dims_text": dict(dims=["two", "2"]),
            "dims_huge": dict(dims=["9" * 1000, "2"]),
            "dims_65": dict(dims=["1"] * 65, strides=["1"] * 65),
            "strides_negative": dict(strides=["-2", "1"]),
            "strides_wrap": dict(strides=["9223372036854775807", "1"]),
            "strides_fewer": dict(strides=["1"]),
            "offset_beyond": dict(offset="1"),
            "offset_wraps": dict(offset="9223372036854775807"),
            "offset_negative": dict(offset="-1"),
            "type_unknown": dict(dataType="EVIL"),
            "type_missing": dict(dataType=None),
            "key_absent": dict(data={"key": "tensors/9"}),
            "key_parent": dict(data={"key": "../../etc/passwd"}),
            "key_of_the_model": dict(data={"key": "model.json"}),
            "key_missing": dict(data={}), "data_none": dict(data=None),
            "expanded": dict(dims=["1099511627776", "1048576"],
                             strides=["0", "0"])}.items():
        yield _old(name, _model(lies), EITHER if name in (
            "type_missing", "key_of_the_model") else ERROR)
    for name, model in {
            "broken": b"{", "list": b"[]", "empty": b"", "text": b"hello",
            "no_module": b"{}", "deep": b'{"a":' * 1_000_000,
            "tensor_absent": _model(module={"parameters": [
                {"name": "w", "tensorId": "7"}]}),
            "tensor_negative": _model(module={"parameters": [
                {"name": "w", "tensorId": "-1"}]}),
            "name_twice": _model(module={"parameters": [
                {"name": "w", "tensorId": "0"}] * 2}),
            "name_escape": _model(module={"parameters": [
                {"name": "\x1b[2J\n", "tensorId": "0"}]}),
            "parameters_none": _model(module={"parameters": None})}.items():
        yield _old("json_" + name, model, EITHER if name in (
            "no_module", "name_escape", "parameters_none", "name_twice")
            else ERROR)
    module = {"name": "x"}
    for _ in range(20):
        module = {"name": "m", "submodules": [module]}
    yield _old("modules_nested", _model(module=module), EITHER)
    yield _old("weights_cut", _model(), weights=VALUES[:-1])

    def script(name, *members, outcome=EITHER):
        return file_case("torchscript_" + name, zips.archive([
            Member(b"m/" + key, data) for key, data in members]), outcome)

    good = [(b"data.pkl", _module_pickle()), (b"code/__torch__/m.py", b"class"),
            (b"constants.pkl", program(EMPTY_TUPLE)), (b"data/0", VALUES)]
    yield script("as_it_should_be", *good)
    yield script("constants_broken", *good[:2], (b"constants.pkl", b"\xff"),
                 good[3])
    yield script("constants_payload", *good[:2], (b"constants.pkl", program(
        call(global_("os", "system"), text("echo > CANARY")))), good[3])
    yield script("payload", (b"data.pkl", program(call(
        global_("os", "system"), text("echo > CANARY")))), *good[1:],
        outcome=ERROR)
    packed = "__torch__.torch.classes.quantized"
    for name, state in {
            "none": NONE, "empty": EMPTY_TUPLE, "text": text("x"),
            "numbers": tuple_(number(1), number(2)),
            "version_huge": tuple_(number(2**70), EMPTY_LIST, EMPTY_LIST),
            "float_weight": tuple_(tensor(), NONE),
            "lists_of_text": tuple_(text("2"), list_(text("a")),
                                    list_(text("b"))),
            "in_itself": put(5) + EMPTY_LIST + put(6) + get(6) + APPEND}.items():
        for cls in ("LinearPackedParamsBase", "Conv2dPackedParamsBase"):
            value = program(new(global_("__torch__.m", "Net"), dict_(
                (text("_packed_params"), new(global_(packed, cls), state)))))
            if name == "in_itself":
                value = program(dict_((text("_packed_params"), NONE +
                                       EMPTY_TUPLE + REDUCE + state)))
            yield script("packed_%s_%s" % (name, cls), (b"data.pkl", value),
                         *good[1:])
    yield script("tensor_list", (b"data.pkl", program(dict_((
        text("l"), call(global_("torch.jit._pickle", "build_tensorlist"),
                        list_(tensor(), tensor())))))), *good[1:])
    yield script("restore_type_tag", (b"data.pkl", program(call(
        global_("torch.jit._pickle", "restore_type_tag"),
        dict_((text("w"), tensor())), text("Dict[str, Tensor]" * 10_000)))),
        *good[1:])
