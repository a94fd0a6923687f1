"""Bare pickles, of NumPy arrays at best."""

import struct

from tests.hostile import zips
from tests.hostile.case import EITHER, ERROR, cuts, file_case, flips
from tests.hostile.pickles import *

VALUES = struct.pack("<4f", 1, 2, 3, 4)


def dtype(name="f4", order="<"):
    return call(global_("numpy", "dtype"), text(name), FALSE, TRUE) + tuple_(
        number(3), text(order), NONE, NONE, NONE, number(2**32 - 1),
        number(2**32 - 1), number(0)) + BUILD


def array(shape=(2, 2), of=None, fortran=FALSE, data=None,
          module="numpy.core.multiarray"):
    empty = call(global_(module, "_reconstruct"), global_("numpy", "ndarray"),
                 tuple_(number(0)), b"C\1b")
    return empty + tuple_(number(1), ints(shape), of or dtype(), fortran,
                          data or b"C" + bytes([len(VALUES)]) + VALUES) + BUILD


def array_pickle(**changes):
    return program(dict_((text("w"), array(**changes))), proto=4)


def seeds():
    yield array_pickle()
    yield array_pickle(fortran=TRUE)
    yield array_pickle(of=dtype("i2", ">"), shape=(8,))
    yield program(call(global_("numpy.core.multiarray", "scalar"), dtype(),
                       b"C\4" + VALUES[:4]), proto=4)


def cases():
    data = array_pickle()
    yield file_case("numpy_as_it_should_be", data, EITHER, ".npy.pkl")
    for name, changes in {
            "shape_beyond": dict(shape=(3, 2)),
            "shape_less": dict(shape=(1, 2)),
            "shape_negative": dict(shape=(-1, 2)),
            "shape_overflows": dict(shape=(2**32, 2**32)),
            "shape_overflows_to_4": dict(shape=(2**62, 2**62, 4)),
            "shape_2_64": dict(shape=(2**64,)),
            "dims_65": dict(shape=(1,) * 63 + (2, 2)),
            "dtype_object": dict(of=dtype("O8", "|")),
            "dtype_text": dict(of=dtype("U4")),
            "dtype_unknown": dict(of=dtype("q9")),
            "dtype_huge": dict(of=dtype("f" + "9" * 99)),
            "dtype_none": dict(of=NONE),
            "order_unknown": dict(of=dtype("f4", "?")),
            "data_none": dict(data=NONE), "data_list": dict(data=list_(NONE)),
            "data_text": dict(data=text("abc")),
            "fortran_text": dict(fortran=text("x"))}.items():
        yield file_case("numpy_" + name, array_pickle(**changes), ERROR if
                        name.startswith("shape") else EITHER, ".pkl")
    for name, pickle in {
            "none": NONE, "number": number(7), "text": text("hello"),
            "empty_dict": EMPTY_DICT, "torch_tensor": tensor(),
            "payload": call(global_("os", "system"), text("echo > CANARY")),
            "payload_in_dtype": array(of=call(
                global_("os", "system"), text("echo > CANARY"))),
            "reconstruct_of_system": call(
                global_("numpy.core.multiarray", "_reconstruct"),
                global_("os", "system"), tuple_(text("echo > CANARY")),
                b"C\1b")}.items():
        yield file_case("bare_" + name, program(pickle, proto=4), EITHER if
                        "reconstruct" in name else ERROR, ".pkl")
    parts = [("byte_%d" % n, data[n:n + 16]) for n in range(0, len(data), 16)]
    yield from cuts("numpy", parts, extension=".pkl")
    yield from flips("numpy", data, range(0, len(data) - 20, 11),
                     extension=".pkl")
    yield file_case("numpy_protocol_0", b"(dp0\nVw\np1\nI1\ns.", EITHER, ".pkl")
    yield file_case("numpy_of_two_pickles", data + data, EITHER, ".pkl")
    yield file_case("numpy_large_claim", program(array(
        shape=(2**40,), data=b"\x8e" + struct.pack("<Q", 2**42)), proto=4),
        ERROR, ".pkl")
    yield file_case("bare_bomb", lambda: [
        PROTO2, (EMPTY_LIST + POP) * 20_000_000, NONE, STOP], ERROR, ".pkl",
        heavy=True)
