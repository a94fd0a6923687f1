"""Every kind of tensor that torch.save knows, beyond strided ones of common
types, which are in torch_checkpoints."""

import collections

import torch
from torch.testing._internal.two_tensor import TwoTensor

from tests.interop import stock
from tests.interop.stock import linear, save

builder = stock.Family("torch")


class RebuiltByHand:
    """Pickled as a call of `function`, as torch does for its own tensors.

    For tensors that torch can load but not save.
    """

    def __init__(self, function, *args):
        self.call = (function, args)

    def __reduce__(self):
        return self.call


class Tagged(torch.Tensor):
    """A tensor with a class and attributes, but with data of its own."""


class Wrapper(torch.Tensor):
    """A tensor without data, as quantization libraries make them."""

    @staticmethod
    def __new__(cls, codes, scale, shape):
        return torch.Tensor._make_wrapper_subclass(cls, shape,
                                                   dtype=torch.float32)

    def __init__(self, codes, scale, shape):
        self.codes, self.scale, self.block = codes, scale, (1, 32)

    def __tensor_flatten__(self):
        return ["codes", "scale"], self.block

    @classmethod
    def __tensor_unflatten__(cls, inner, block, shape, stride):
        return cls(inner["codes"], inner["scale"], shape)

    @classmethod
    def __torch_dispatch__(cls, function, types, args=(), kwargs=None):
        if function is torch.ops.aten.detach.default:
            return args[0]
        raise NotImplementedError(function)


# Layouts.


@builder
def sparse_coo(path):
    dense = torch.randn(9, 12) * (torch.rand(9, 12) < 0.3)
    again = torch.sparse_coo_tensor([[0, 0, 1], [2, 2, 0]], torch.randn(3),
                                    (2, 4))
    return save(path, {
        "coalesced": dense.to_sparse_coo(), "w": linear(),
        "uncoalesced": again, "hybrid": dense.reshape(9, 4, 3).to_sparse(1),
        "empty": torch.sparse_coo_tensor(size=(3, 4))})


@builder
def sparse_compressed(path):
    dense = torch.randn(8, 12) * (torch.rand(8, 12) < 0.3)
    return save(path, collections.OrderedDict([
        ("csr", dense.to_sparse_csr()), ("csc", dense.to_sparse_csc()),
        ("bsr", dense.to_sparse_bsr((2, 3))),
        ("bsc", dense.to_sparse_bsc((4, 2)))]))


@builder
def sparse_alone(path):
    return save(path, torch.eye(4).to_sparse())


@builder
def nested_strided(path):
    parts = [torch.randn(3, 5), torch.randn(2, 5)]
    return save(path, {"n": torch.nested.nested_tensor(parts), "w": linear()})


# Views.


@builder
def conjugate_views(path):
    x = torch.randn(6, 8, dtype=torch.complex128)
    return save(path, {
        "conj": x.conj(), "transposed": x.t().conj(), "slice": x.conj()[1:, 3],
        "scalar": x.conj()[2, 3],
        "half": x.to(torch.complex32).conj(), "plain": x})


@builder
def negative_views(path):
    x, y = torch.randn(2, 6, 8, dtype=torch.complex128).unbind()
    return save(path, {
        "neg": x.conj().imag, "neg_slice": x.conj().imag[::2, 3:],
        "neg_conj": torch._neg_view(y.clone()).conj(),
        "neg_integers": torch._neg_view(torch.arange(-3, 4)),
        "neg_half": torch._neg_view(torch.randn(5).half())})


@builder
def real_parts(path):
    x = torch.randn(6, 8, dtype=torch.complex64)
    return save(path, {"pairs": torch.view_as_real(x), "real": x.real,
                       "complex": torch.view_as_complex(torch.randn(3, 2))})


@builder
def scalar_views(path):
    base = torch.randn(5, 6)
    return save(path, {"element": base[3, 4], "row": base[2], "one": base[:1],
                       "squeezed": base[4:, 5:].squeeze(), "base": base})


@builder
def overlapping_windows(path):
    base = torch.randn(100)
    return save(path, {
        "hankel": base.as_strided((20, 30), (1, 1), 7),
        "steps": base.as_strided((3, 4, 2), (5, 20, 1)),
        "diagonals": base.as_strided((9,), (11,), 1),
        "repeated": base[40].expand(2, 3, 4)})


@builder
def many_dimensions(path):
    shape = (1, 2) * 7 + (3,)
    return save(path, {"contiguous": torch.randn(shape),
                       "reversed": torch.randn(shape).permute(
                           *range(14, -1, -1)),
                       "ones": torch.randn((1,) * 40)})


@builder
def small_part_of_a_storage(path):
    return save(path, {"middle": torch.randn(1000)[333:338],
                       "last": torch.arange(70)[-1:]})


@builder
def two_types_of_one_storage(path):
    codes = torch.arange(64).to(torch.uint16)
    return save(path, {"whole": codes, "pairs": codes.view(torch.uint32),
                       "bytes": codes.view(torch.float8_e5m2)[9:20]})


@builder
def empty_views(path):
    return save(path, {
        "tail": torch.randn(8, 4)[8:], "columns": torch.randn(8, 4)[:, 2:2],
        "strange": torch.empty(0).as_strided((0, 5), (1 << 40, 7)),
        "scalars": torch.empty(2, 0, 3).sum(1)})


@builder
def ties_of_every_kind(path):
    weight = torch.nn.Parameter(linear())
    return save(path, collections.OrderedDict([
        ("first", weight), ("same", weight), ("data", weight.data),
        ("view", weight.data.view(48, 64)), ("detached", weight.detach()),
        ("reshaped", weight.detach().view(64, 48)),
        ("transposed", weight.detach().t()), ("rows", weight.detach()[:20]),
        ("copy", weight.detach().clone()),
        ("empty", torch.empty(0)), ("empty too", torch.empty(0))]))


# Types.


@builder
def sub_byte_integers(path):
    """Of up to seven bits; torch 2.13 loads them, but cannot save them."""
    storage = torch.arange(40, dtype=torch.uint8).untyped_storage()
    rebuilt = {
        str(dtype)[6:]: RebuiltByHand(
            torch._utils._rebuild_tensor_v3, storage, offset, (4, 3), (3, 1),
            False, collections.OrderedDict(), dtype)
        for offset, dtype in enumerate(
            getattr(torch, "%s%d" % (kind, bits))
            for kind in ("uint", "int") for bits in range(1, 8))}
    return save(path, rebuilt)


@builder
def every_type_as_a_scalar(path):
    return save(path, {
        str(dtype)[6:]: torch.tensor(3).to(dtype) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16,
            torch.uint32, torch.int32, torch.uint64, torch.int64,
            torch.float16, torch.bfloat16, torch.float32, torch.float64,
            torch.complex32, torch.complex64, torch.complex128,
            torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
            torch.float8_e5m2fnuz, torch.float8_e8m0fnu)})


@builder
def special_values(path):
    """Not a number, the infinities and -0 keep their bits."""
    values = torch.tensor([float("nan"), float("inf"), float("-inf"), -0.0,
                           1e-45, 3.4e38])
    payloads = torch.arange(0x7f800000, 0x7f800040, dtype=torch.int32)
    return save(path, {
        str(dtype)[6:]: values.to(dtype) for dtype in (
            torch.float16, torch.bfloat16, torch.float32, torch.float64,
            torch.float8_e4m3fn, torch.float8_e5m2)
    } | {"payloads": payloads.view(torch.float32)})


@builder
def eight_bit_float_views(path):
    base = torch.arange(96, dtype=torch.uint8).reshape(8, 12)
    return save(path, {"t": base.view(torch.float8_e4m3fn).t(),
                       "columns": base.view(torch.float8_e5m2)[:, 3:7],
                       "f4": base.view(torch.float4_e2m1fn_x2)[2:5]})


# Classes.


@builder
def tagged_tensors(path):
    tagged = torch.randn(6, 7).as_subclass(Tagged)
    tagged.origin, tagged.mean = "somewhere", torch.randn(7)
    return save(path, {"t": tagged, "w": linear()})


@builder
def tagged_parameters(path):
    parameter = torch.nn.Parameter(torch.randn(6, 7))
    parameter.initial, parameter.notes = torch.ones(6, 7), {"x": [1, 2]}
    return save(path, {"p": parameter, "plain": torch.nn.Parameter(linear())})


@builder
def wrapper_subclasses(path):
    return save(path, {
        "w": Wrapper(torch.randint(-128, 127, (16, 32), dtype=torch.int8),
                     torch.rand(16, 1), (16, 32)),
        "bias": torch.randn(16)})


@builder
def two_tensors(path):
    nested = TwoTensor(TwoTensor(linear(), linear()),
                       TwoTensor(linear(), linear()))
    return save(path, {"two": TwoTensor(linear(3, 4), linear(3, 4)),
                       "four": nested})


@builder
def jagged_tensors(path):
    parts = [torch.randn(3, 5), torch.randn(2, 5)]
    nested = torch.nested.nested_tensor(parts, layout=torch.jagged)
    return save(path, {"n": nested, "w": linear()})


@builder
def tensors_without_data(path):
    path = save(path, {"meta": torch.empty(3, 4, device="meta"),
                       "w": linear()})
    return stock.loaded(path, noted=("meta",))


@builder
def bare_tensor(path):
    return save(path, linear())


@builder
def bare_parameter(path):
    return save(path, torch.nn.Parameter(linear()))


@builder
def bare_storages(path):
    """Storages are no tensors: they have no shape."""
    path = save(path, {"w": linear(), "typed": linear().storage(),
                       "untyped": linear().untyped_storage()})
    return stock.loaded(path, noted=("typed", "untyped"))


@builder
def storages_of_every_class(path):
    """From before tensors: what old versions call each type."""
    def tensor(class_name, dtype, numel=12):
        typed = torch.TypedStorage(
            wrap_storage=torch.zeros(numel, dtype=dtype).untyped_storage(),
            dtype=dtype)
        typed.untyped().copy_(torch.randint(
            0, 100, (typed.nbytes(),), dtype=torch.uint8).untyped_storage())
        return RebuiltByHand(torch._utils._rebuild_tensor, typed, 0, (3, 4),
                             (4, 1))
    return save(path, {
        str(dtype)[6:]: tensor(str(dtype), dtype) for dtype in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16,
            torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8,
            torch.bool, torch.complex64, torch.complex128)})


# Names.


@builder
def names_with_dots(path):
    return save(path, {"a.b.c": linear(), "a": {"b.d": linear(), "": linear()},
                       ".": torch.ones(2), "..": {".": torch.ones(3)}})


@builder
def names_that_are_no_text(path):
    """Integers are names; keys of other types are left out, and noted."""
    path = save(path, {
        1: torch.ones(1), -3: torch.ones(2), "1.5": torch.ones(3),
        10**15: torch.ones(4), 2.5: torch.zeros(1), None: torch.zeros(2),
        (1, 2): torch.zeros(3), b"bytes": torch.zeros(4)})
    return stock.loaded(path, noted=("key",))


@builder
def names_that_look_like_training_state(path):
    """The model of an optimizer or an amplifier is a model all the same."""
    return save(path, {
        "optimizer": torch.ones(2), "ampere.weight": linear(),
        "rngs": {"w": linear()}, "loops": linear(), "epoch": torch.tensor(3)})
