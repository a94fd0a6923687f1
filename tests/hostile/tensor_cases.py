"""Sound archives around tensors that cannot be."""

import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, OK, file_case
from tests.hostile.pickles import *

VALUES = struct.pack("<4f", 1, 2, 3, 4)


def _case(name, value, outcome=ERROR, storages=None, **kwargs):
    data = zips.torch_zip(program(state_dict(w=value)),
                          storages or {"0": VALUES})
    return file_case("tensor_" + name, data, outcome, **kwargs)


def _views():
    views = {
        "size_beyond": dict(size=(3, 2)),
        "size_negative": dict(size=(-1, 2)),
        "size_all_negative": dict(size=(-2, -2)),
        "size_min": dict(size=(-2**63, 1)),
        "size_2_63": dict(size=(2**63, 1)),
        "size_2_64": dict(size=(2**64, 1)),
        "size_big_integer": dict(size=(2**900, 1)),
        "size_overflows": dict(size=(2**32, 2**32)),
        "size_overflows_bytes": dict(size=(2**62,), stride=(1,)),
        "size_overflows_by_three": dict(size=(2**21, 2**21, 2**22),
                                        stride=(1, 1, 1)),
        "stride_beyond": dict(stride=(3, 1)),
        "stride_negative": dict(stride=(-2, 1), offset=2),
        "stride_min": dict(stride=(-2**63, 1)),
        "stride_2_62": dict(stride=(2**62, 2**62)),
        "stride_2_63": dict(stride=(2**63, 1)),
        "stride_wraps_to_0": dict(size=(5, 1), stride=(2**62, 1)),
        "stride_wraps_to_1": dict(size=(3, 1), stride=(2**63 + 1, 1)),
        "offset_beyond": dict(offset=1),
        "offset_at_end": dict(offset=4),
        "offset_negative": dict(offset=-1),
        "offset_2_62": dict(offset=2**62),
        "offset_2_63": dict(offset=2**63 - 1),
        "offset_2_64": dict(offset=2**64 - 2),
        "offset_wraps": dict(offset=2**64 - 3, size=(4,), stride=(1,)),
        "dims_differ": dict(size=(2, 2), stride=(1,)),
        "dims_65": dict(size=(1,) * 65, stride=(1,) * 65),
        "dims_100000": dict(size=(1,) * 100_000, stride=(1,) * 100_000),
        "expanded_2_60": dict(size=(2**30, 2**30), stride=(0, 0)),
        "expanded_2_40": dict(size=(2**40,), stride=(0,)),
        "expanded_rows": dict(size=(2**33, 2), stride=(0, 1)),
        "numel_negative": dict(numel=-4),
        "numel_more": dict(numel=5),
        "numel_2_62": dict(numel=2**62),
        "numel_2_64": dict(numel=2**64),
        "key_absent": dict(key="1"),
        "key_empty": dict(key=""),
        "key_of_a_path": dict(key="../data.pkl"),
        "key_of_the_pickle": dict(key="/../data.pkl"),
        "key_absolute": dict(key="/etc/passwd"),
        "key_with_zero": dict(key="0\0"),
        "key_of_a_tuple": dict(key=EMPTY_TUPLE),
        "key_negative": dict(key=number(-1)),
        "class_unknown": dict(cls="EvilStorage"),
        "class_of_double": dict(cls="DoubleStorage"),
        "kind_unknown": dict(kind="stoarge"),
    }
    for name, view in views.items():
        yield _case(name, tensor(**view))
    yield _case("numel_less", tensor(numel=3, size=(3,), stride=(1,)), EITHER)
    yield _case("expanded_small", tensor(size=(1000, 2), stride=(0, 1)), OK,
                tensors={"w": ("F32", [1000, 2],
                               struct.pack("<2f", 1, 2) * 1000)})
    # 16 bytes in the file, 256 MiB to quantize: the limit of expanded views.
    yield _case("expanded_to_the_limit", tensor(
        size=(2**15, 2**11), stride=(0, 0)), OK)
    yield _case("expanded_beyond_the_limit", tensor(
        size=(2**15, 2**11 + 1), stride=(0, 0)))
    yield _case("empty_and_far", tensor(size=(0, 2**40), stride=(1, 1),
                                        offset=0), EITHER)
    yield _case("empty_and_huge", tensor(size=(0, 2**62, 2**62),
                                         stride=(1, 1, 1)), EITHER)
    yield _case("empty_at_2_60", tensor(size=(0,), stride=(1,), offset=2**60),
                EITHER)
    yield _case("dims_64", tensor(size=(1,) * 64, stride=(1,) * 64), OK)


def _rebuilds():
    v2 = global_("torch._utils", "_rebuild_tensor_v2")
    strided = storage("0", 4), number(0), ints((2, 2)), ints((2, 1))
    yield _case("no_arguments", call(v2))
    yield _case("args_no_tuple", v2 + NONE + REDUCE, EITHER)
    yield _case("args_a_list", v2 + list_(*strided) + REDUCE, EITHER)
    yield _case("too_many_arguments", call(v2, *strided, *[NONE] * 9))
    yield _case("size_of_text", call(v2, storage("0", 4), number(0), text("22"),
                                     ints((2, 1)), FALSE, ORDERED_DICT))
    yield _case("size_of_floats", call(
        v2, storage("0", 4), number(0), tuple_(b"G" + struct.pack(">d", 2)),
        ints((1,)), FALSE, ORDERED_DICT))
    yield _case("storage_none", call(v2, NONE, *strided[1:], FALSE,
                                     ORDERED_DICT))
    yield _case("storage_a_tensor", call(v2, tensor(), *strided[1:], FALSE,
                                         ORDERED_DICT))
    yield _case("storage_short", call(v2, tuple_(text("storage")) + PERSID,
                                      *strided[1:], FALSE, ORDERED_DICT))
    yield _case("in_itself", v2 + MARK + storage("0", 4) + put(9) + number(0) +
                get(9) + get(9) + FALSE + NONE + TUPLE + REDUCE)
    v3 = global_("torch._utils", "_rebuild_tensor_v3")
    untyped = storage("0", 16, "UntypedStorage")
    for name, dtype in [("evil", global_("torch", "evil")),
                        ("os", global_("os", "float32")), ("none", NONE),
                        ("text", text("torch.float32")),
                        ("complex128", global_("torch", "complex128"))]:
        yield _case("v3_dtype_" + name, call(v3, untyped, *strided[1:], FALSE,
                                             ORDERED_DICT, dtype))
    q = global_("torch._utils", "_rebuild_qtensor")
    affine = global_("torch", "per_tensor_affine")
    channel = global_("torch", "per_channel_affine")
    codes = storage("0", 16, "QInt8Storage")
    for name, size, scheme in [
            ("beyond", (5, 4), tuple_(affine, b"G" + bytes(8), number(0))),
            ("no_scheme", (4, 4), NONE),
            ("scheme_of_text", (4, 4), tuple_(text("affine"))),
            ("scales_missing", (4, 4), tuple_(channel)),
            ("scales_of_text", (4, 4), tuple_(channel, text("s"), text("z"),
                                              number(0))),
            ("axis_beyond", (4, 4), tuple_(channel, tensor(), tensor(),
                                           number(7))),
            ("axis_negative", (4, 4), tuple_(channel, tensor(), tensor(),
                                             number(-9))),
            ("scales_of_another_length", (2, 2), tuple_(
                channel, tensor(), tensor(), number(0)))]:
        yield _case("quantized_" + name, call(
            q, codes, number(0), ints(size), ints((4, 1)), scheme, FALSE,
            ORDERED_DICT), ERROR if name == "beyond" else EITHER)
    sparse = global_("torch._utils", "_rebuild_sparse_tensor")
    layout = call(global_("torch.serialization", "_get_layout"),
                  text("torch.sparse_coo"))
    yield _case("sparse_without_parts", call(sparse, layout, EMPTY_TUPLE))
    yield _case("sparse_layout_none", call(sparse, NONE, tuple_(
        tensor(), tensor(), ints((2, 2)))))
    yield _case("sparse_parts_of_text", call(sparse, layout, tuple_(
        text("i"), text("v"), ints((2, 2)))), EITHER)
    yield _case("meta_huge", call(
        global_("torch._utils", "_rebuild_meta_tensor_no_storage"),
        global_("torch", "float32"), ints((2**62, 2**62)), ints((1, 1)), FALSE),
        EITHER)
    yield _case("wrapper_without_data", call(
        global_("torch._utils", "_rebuild_wrapper_subclass"),
        global_("os", "system"), global_("torch", "float32"), ints((2**62,)),
        ints((1,)), number(0), NONE, NONE, FALSE), EITHER)
    yield _case("from_type_of_system", call(
        global_("torch._tensor", "_rebuild_from_type_v2"),
        global_("os", "system"), global_("os", "system"), tuple_(text("id")),
        EMPTY_DICT), EITHER)
    conj = call(v2, *strided, FALSE, ORDERED_DICT, dict_((text("conj"), TRUE)))
    yield _case("conj_of_reals", conj, EITHER)


def _module_cases(name, *entries, outcome=EITHER, storages=None):
    """A state dict that looks like one of modules that torch quantized."""
    numbers = dict(key="9", size=(), stride=(), numel=1)
    value = dict_(
        (text("m.scale"), tensor(**numbers)),
        (text("m.zero_point"), tensor(cls="LongStorage", **numbers)), *entries)
    data = zips.torch_zip(program(value), {
        "0": bytes(range(16)), "1": struct.pack("<4d", 0.5, 2, 0.25, 1),
        "2": bytes(32), "9": bytes(8), **(storages or {})})
    yield file_case("module_" + name, data, outcome)


def _qtensor(scheme, size=(4, 4), stride=(4, 1)):
    return call(global_("torch._utils", "_rebuild_qtensor"),
                storage("0", 16, "QInt8Storage"), number(0), ints(size),
                ints(stride), scheme, FALSE, ORDERED_DICT)


def _per_channel(axis=0, scales={}, zeros={}):
    of_channels = dict(size=(4,), stride=(1,))
    return tuple_(
        global_("torch", "per_channel_affine"),
        tensor(**{**of_channels, "key": "1", "cls": "DoubleStorage", **scales}),
        tensor(**{**of_channels, "key": "2", "cls": "LongStorage", **zeros}),
        number(axis))


def _per_tensor(scale, zero_point):
    return tuple_(global_("torch", "per_tensor_affine"),
                  b"G" + struct.pack(">d", scale), number(zero_point))


def _modules():
    packed = text("m._packed_params._packed_params")

    def linear(weight, *more):
        return packed, tuple_(weight, *more)

    good = _qtensor(_per_channel())
    yield from _module_cases("as_it_should_be", linear(good, NONE), outcome=OK)
    yield from _module_cases("of_floats", linear(tensor(), tensor()))
    yield from _module_cases("bias_of_codes", linear(good, good))
    yield from _module_cases("without_end", linear(*[good] * 1000))
    yield from _module_cases("name_taken", linear(good, NONE),
                             (text("m.weight"), tensor()), outcome=OK)
    yield from _module_cases("name_of_a_parameter_taken", linear(good, NONE),
                             (text("m.weight.scale"), tensor()), outcome=ERROR)
    yield from _module_cases("convolution_and_linear", linear(good, NONE),
                             (text("m.weight"), good))
    yield from _module_cases("twice", linear(good, NONE), linear(good, NONE))
    yield from _module_cases("outermost", (
        text("_packed_params._packed_params"), tuple_(good, NONE)), outcome=OK)
    schemes = {
        "axis_beyond": _per_channel(axis=2),
        "axis_huge": _per_channel(axis=2**40),
        "axis_negative": _per_channel(axis=-1),
        "scales_short": _per_channel(scales=dict(size=(3,))),
        "scales_beyond": _per_channel(scales=dict(offset=1)),
        "scales_of_codes": _per_channel(scales=dict(cls="QInt8Storage")),
        "scales_of_floats": _per_channel(scales=dict(cls="FloatStorage")),
        "zeros_of_floats": _per_channel(zeros=dict(cls="DoubleStorage")),
        "scale_infinite": _per_tensor(float("inf"), 0),
        "scale_nan": _per_tensor(float("nan"), 0),
        "scale_beyond_floats": _per_tensor(1e300, 0),
        "zero_point_beyond": _per_tensor(1, 128),
        "zero_point_2_62": _per_tensor(1, 2**62),
    }
    for name, scheme in schemes.items():
        yield from _module_cases(name, linear(_qtensor(scheme), NONE))
    for name, data in {
            "zeros_beyond": struct.pack("<4q", 0, 1000, 0, 0),
            "zeros_2_63": struct.pack("<4q", 0, 2**63 - 1, -2**63, 0)}.items():
        yield from _module_cases(name, linear(good, NONE), outcome=ERROR,
                                 storages={"2": data})
    # One number, given to so many channels: they are read when it is opened.
    wide = 2**22
    channels = dict(numel=4, size=(wide,), stride=(0,))
    many = call(global_("torch._utils", "_rebuild_qtensor"),
                storage("0", 16, "QInt8Storage"), number(0), ints((wide,)),
                ints((0,)), _per_channel(scales=channels, zeros=channels),
                FALSE, ORDERED_DICT)
    yield from _module_cases("channels_of_one_number", *[
        (text("%d._packed_params._packed_params" % i), tuple_(many, NONE))
        for i in range(64)])
    for name, path in {
            "cell_huge": "m._all_weight_values.9999.param",
            "cell_2_70": "m._all_weight_values.%d.param" % 2**70,
            "cell_negative": "m._all_weight_values.-1.param",
            "cell_without_a_number": "m._all_weight_values..param",
            "cell_in_a_cell":
                "m._all_weight_values.0._all_weight_values.0.param"}.items():
        cell = tuple_(text("quantized_dynamic"), EMPTY_LIST, EMPTY_LIST,
                      EMPTY_LIST, list_(tuple_(good, NONE), tuple_(good, NONE)))
        yield from _module_cases(name, (text(path), cell))
    cell = tuple_(*[NONE] * 4, list_(
        tuple_(_qtensor(_per_tensor(1, 0), (2, 0), (1, 1)), NONE),
        tuple_(_qtensor(_per_tensor(1, 0), (16,), (1,)), NONE)))
    yield from _module_cases("cells_of_other_shapes", *[
        (text("m._all_weight_values.%d.param" % i), cell) for i in range(3000)])
    for name, kind in (("codes", dict(cls="QInt8Storage")),
                       ("many", dict(key="0", numel=4, size=(4,),
                                     stride=(1,)))):
        number_of = {**dict(key="9", size=(), stride=(), numel=1), **kind}
        yield from _module_cases("activations_of_" + name, linear(good, NONE), (
            text("n.scale"), tensor(**number_of)), (
            text("n.zero_point"), tensor(**number_of)))


def _names():
    """Names that write to terminals, or that no other file could have."""
    names = {
        "escape": b"\x1b[2J\x1b]0;owned\x07w", "newline": b"w\nmonoquant: done",
        "return": b"w\rfine", "zero": b"w\0x", "delete": b"\x7f\x08\x08w",
        "c1": "\u009b2Jw".encode(), "bidi": "\u202ewt.lanif".encode(),
        "long": b"n" * 1_000_000, "quotes": b"'\"\\w", "empty": b"",
        "slashes": b"../../w", "dots": b"...", "emoji": "\U0001f600".encode(),
    }
    for name, raw in names.items():
        data = zips.torch_zip(program(dict_((text(raw), tensor()))),
                              {"0": VALUES})
        yield file_case("name_" + name, data, EITHER)
        bad = zips.torch_zip(program(dict_((text(raw), tensor(size=(9, 9))))),
                             {"0": VALUES})
        # Keys that are too long to be names are left out, with a note.
        yield file_case("name_of_a_broken_tensor_" + name, bad,
                        EITHER if name == "long" else ERROR)
    for name, raw in [("invalid", b"\xff\xfe"), ("surrogate", b"\xed\xa0\x80"),
                      ("cut", b"\xe2\x82"), ("overlong", b"\xc0\xaf")]:
        data = zips.torch_zip(program(dict_((text(raw), tensor()))),
                              {"0": VALUES})
        yield file_case("name_%s_utf8" % name, data, ERROR)
    twice = dict_((text("w"), tensor()), (text("w"), tensor()))
    yield file_case("name_twice", zips.torch_zip(program(twice), {"0": VALUES}),
                    EITHER)
    collision = dict_((text("a.b"), tensor()),
                      (text("a"), dict_((text("b"), tensor()))))
    yield file_case("name_twice_by_joining", zips.torch_zip(
        program(collision), {"0": VALUES}), ERROR)
    evil = program(dict_((text("w"), tensor()), (text("x"), new(
        global_("\x1b[31mevil", "Cl\x07ass"), dict_((text("t"), tensor()))))))
    yield file_case("name_of_a_class", zips.torch_zip(evil, {"0": VALUES}),
                    EITHER)


def cases():
    yield from _views()
    yield from _rebuilds()
    yield from _modules()
    yield from _names()
