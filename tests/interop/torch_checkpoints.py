"""Checkpoints as torch and safetensors write them, one for each thing that a
reader can get wrong.

`make_all(folder)` writes them and returns a list of Checkpoint.
"""

import collections
import json
import os
import zipfile
from typing import Callable, NamedTuple

import numpy as np
import safetensors.torch
import torch

from tests.support import safetensors_file


class Checkpoint(NamedTuple):
    name: str
    path: str
    # Loads it with the stock libraries: {name: tensor}, in order.
    load: Callable[[], dict]
    # True if the file has more tensors than torch shows, or another order.
    partial: bool = False


_BUILDERS = {}


def _builder(function):
    _BUILDERS[function.__name__] = function
    return function


def make_all(folder):
    checkpoints = []
    for name, build in _BUILDERS.items():
        torch.manual_seed(len(checkpoints))
        path = os.path.join(folder, name)
        made = build(path)
        if not isinstance(made, tuple):
            made = made, lambda path=made: load_flat(path)
        checkpoints.append(Checkpoint(name, *made))
    return checkpoints


# Reading, by the stock libraries.

_ROOTS = ("state_dict", "model", "model_state_dict")


def load_flat(path):
    """The tensors of a file of either kind by the names monoquant gives them.

    Containers are flattened with dots; of a training checkpoint only the
    weights count.
    """
    if path.endswith(".safetensors"):
        return load_safetensors(path)
    return flatten(torch.load(path, weights_only=True, map_location="cpu"))


def load_safetensors(path):
    """Tensors in the order of their bytes in the file."""
    state = safetensors.torch.load_file(path)
    entries, _ = safetensors_file.read(path)
    return {entry.name: state[entry.name] for entry in entries}


def load_torchscript(path):
    """Parameters and buffers; tensors that are mere attributes are not seen."""
    return dict(torch.jit.load(path, map_location="cpu").state_dict())


def flatten(value):
    for root in _ROOTS:
        if isinstance(value, dict) and isinstance(value.get(root), dict):
            value = value[root]
            break
    found = {}
    # Pairs still to visit, last first.
    pending = [("", value)]
    while pending:
        name, item = pending.pop()
        if isinstance(item, torch.Tensor):
            found[name] = item
            continue
        if isinstance(item, dict):
            children = list(item.items())
        elif isinstance(item, (list, tuple)):
            children = list(enumerate(item))
        else:
            continue
        prefix = name + "." if name else ""
        pending += [("%s%s" % (prefix, key), child)
                    for key, child in reversed(children)]
    return found


# What torch.save writes.


def _save(path, value, **options):
    path += ".pt"
    torch.save(value, path, **options)
    return path


def _linear(rows=48, columns=64, dtype=torch.float32):
    return torch.randn(rows, columns).to(dtype)


@_builder
def state_dict_of_modules(path):
    """An OrderedDict with _metadata, as state_dict() gives it."""
    return _save(path, torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 5), torch.nn.BatchNorm2d(24), torch.nn.Flatten(),
        torch.nn.Linear(96, 32, bias=False), torch.nn.LayerNorm(32),
        torch.nn.Embedding(40, 32)).state_dict())


@_builder
def state_dict_of_a_transformer(path):
    return _save(path, torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(64, 4, 96), 2).state_dict())


@_builder
def state_dict_of_recurrent_layers(path):
    return _save(path, torch.nn.ModuleDict({
        "lstm": torch.nn.LSTM(24, 40, 2, bidirectional=True),
        "gru": torch.nn.GRU(24, 40), "cell": torch.nn.GRUCell(40, 40),
        "attention": torch.nn.MultiheadAttention(40, 4)}).state_dict())


@_builder
def convolutions_of_every_rank(path):
    return _save(path, torch.nn.ModuleList([
        torch.nn.Conv1d(16, 32, 7), torch.nn.Conv2d(16, 32, (3, 5)),
        torch.nn.Conv3d(4, 8, 3), torch.nn.ConvTranspose2d(16, 8, 3),
        torch.nn.Conv2d(16, 32, 3, groups=4)]).state_dict())


@_builder
def plain_dict(path):
    return _save(path, {"w": _linear(), "b": torch.randn(48)})


@_builder
def half_and_bfloat(path):
    return _save(path, {"h": _linear(dtype=torch.float16),
                        "b": _linear(dtype=torch.bfloat16)})


@_builder
def double(path):
    return _save(path, {"d": _linear(dtype=torch.float64)})


@_builder
def integers_and_bool(path):
    counts = torch.arange(-8, 8)
    return _save(path, collections.OrderedDict(
        (str(dtype)[6:], counts.to(dtype)) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16,
            torch.uint32, torch.int32, torch.uint64, torch.int64)))


@_builder
def complex_numbers(path):
    x = torch.randn(6, 4, dtype=torch.complex128)
    return _save(path, {"c64": x.to(torch.complex64)})


@_builder
def complex_without_safetensors(path):
    """Types that safetensors has no spelling for."""
    x = torch.randn(6, 4, dtype=torch.complex128)
    return _save(path, {"c128": x, "c32": x.to(torch.complex32)})


@_builder
def eight_bit_floats(path):
    x = torch.randn(16, 48)
    return _save(path, {str(dtype)[6:]: x.to(dtype) for dtype in (
        torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
        torch.float8_e5m2fnuz, torch.float8_e8m0fnu)})


@_builder
def four_bit_floats(path):
    codes = torch.arange(96, dtype=torch.uint8).reshape(4, 24)
    return _save(path, {"f4": codes.view(torch.float4_e2m1fn_x2)})


@_builder
def bit_containers(path):
    codes = torch.arange(96, dtype=torch.uint8).reshape(4, 24)
    return _save(path, {str(dtype)[6:]: codes.view(dtype) for dtype in (
        torch.bits8, torch.bits16, torch.bits1x8, torch.bits2x4,
        torch.bits4x2)})


@_builder
def strided_views(path):
    """One storage, seen in every way that strides allow."""
    base = torch.arange(4 * 30 * 20, dtype=torch.float32).reshape(4, 30, 20)
    return _save(path, {
        "transposed": base[0].t(),
        "permuted": base.permute(2, 0, 1),
        "stepped": base[:, ::3, 1::2],
        "column": base[:, :, 5],
        "narrowed": base.narrow(1, 7, 11),
        "diagonal": torch.diagonal(base, dim1=1, dim2=2),
        "windows": torch.arange(64.0).unfold(0, 16, 3),
        "chunk": base.reshape(-1).chunk(3)[1],
        "last": base[3, 29, 19],
    })


@_builder
def expanded(path):
    """Stride 0: few bytes, many elements."""
    return _save(path, {
        "row": torch.randn(1, 40).expand(30, 40),
        "column": torch.randn(30, 1).expand(30, 40),
        "scalar": torch.tensor(0.5).expand(8, 80),
        "middle": torch.randn(6, 1, 5).expand(6, 30, 5),
    })


@_builder
def transposed_weights(path):
    return _save(path, {"linear.weight": _linear().t(),
                        "conv.weight": torch.randn(3, 3, 16, 32)
                        .permute(3, 2, 0, 1)})


@_builder
def channels_last(path):
    return _save(path, {"conv.weight": torch.randn(32, 16, 3, 3).to(
        memory_format=torch.channels_last)})


@_builder
def tied_weights(path):
    table, head = torch.nn.Parameter(_linear()), _linear(40, 40)
    return _save(path, collections.OrderedDict([
        ("encoder.embed.weight", table), ("mid.weight", head),
        ("decoder.embed.weight", table), ("bias", torch.randn(48)),
        ("lm_head.weight", table.data), ("mid.copy", head)]))


@_builder
def partly_shared(path):
    """Views of one storage that are not the same tensor."""
    fused = torch.randn(96, 32)
    return _save(path, {
        "q": fused[:32], "k": fused[32:64], "v": fused[64:], "qkv": fused,
        "again": fused[32:64], "flat": fused.reshape(-1),
        "square": fused[:32].t()})


@_builder
def parameters(path):
    marked = torch.nn.Parameter(_linear())
    marked.note = "kept in the state of the parameter"
    frozen = torch.nn.Parameter(_linear(), requires_grad=False)
    buffer = torch.nn.Buffer(torch.arange(5))
    return _save(path, {"marked": marked, "frozen": frozen, "buffer": buffer})


@_builder
def gradients_required(path):
    return _save(path, {"leaf": _linear().requires_grad_()})


@_builder
def scalars(path):
    return _save(path, {
        "step": torch.tensor(7), "loss": torch.tensor(0.25),
        "flag": torch.tensor(True), "w": _linear()})


@_builder
def empty_tensors(path):
    return _save(path, {
        "none": torch.empty(0), "rows": torch.empty(0, 128),
        "columns": torch.empty(64, 0), "w": _linear(),
        "cube": torch.empty(3, 0, 2, dtype=torch.int64)})


@_builder
def unicode_names(path):
    return _save(path, {
        "gewicht.\u00e4\u00f6\u00fc": _linear(),
        "\u5c64.\u91cd\u307f": _linear(),
        "\U0001f600": torch.randn(3), "with space/and slash": _linear(),
        'quotes"and\\backslash': _linear(), "new\nline\ttab": torch.randn(2),
        "": torch.randn(4), "x" * 1000: torch.randn(5)})


@_builder
def integer_keys(path):
    return _save(path, {0: _linear(), 1: torch.randn(4), 10: _linear()})


@_builder
def nested_lists(path):
    return _save(path, {
        "layers": [{"w": _linear(), "b": torch.randn(48)}, (_linear(), None)],
        "size": (3, 4), "name": "net"})


@_builder
def training_checkpoint(path):
    """Weights, optimizer state, counters and settings."""
    model = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(3, 40)).sum().backward()
    optimizer.step()
    return _save(path, {
        "epoch": 3, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(), "best": 0.5, "tag": None,
        "rng": torch.get_rng_state(),
        "args": {"lr": 1e-3, "names": ["a", "b"]}})


@_builder
def training_checkpoint_of_lightning(path):
    return _save(path, {
        "epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.5",
        "state_dict": collections.OrderedDict([("net.w", _linear())]),
        "loops": {"fit": {"done": True}}, "callbacks": {},
        "optimizer_states": [{"state": {0: {"exp_avg": _linear()}}}],
        "hyper_parameters": {"width": 48}})


@_builder
def training_checkpoint_model_state_dict(path):
    return _save(path, {"model_state_dict": {"w": _linear()}, "loss": 0.125,
                        "optimizer_state_dict": {"state": {}}})


@_builder
def conjugated_views(path):
    """The bits say that the values are still to be conjugated."""
    x = torch.randn(24, 32, dtype=torch.complex64)
    return _save(path, {"conj": x.conj(), "adjoint": x.mH, "plain": x})


@_builder
def negated_views(path):
    """Parts of a complex tensor; those of its conjugate are to be negated."""
    x = torch.randn(24, 32, dtype=torch.complex64)
    return _save(path, {"imag_of_conj": x.conj().imag, "real": x.real,
                        "imag": x.imag})


@_builder
def legacy_quantized(path):
    """torch's quantized tensors: the codes are copied."""
    x = torch.randn(6, 40)
    scales, zeros = torch.rand(6) + 0.01, torch.zeros(6, dtype=torch.int64)
    return _save(path, {
        "tensor": torch.quantize_per_tensor(x, 0.05, 3, torch.quint8),
        "channel": torch.quantize_per_channel(x, scales, zeros, 0, torch.qint8),
        "wide": torch.quantize_per_tensor(x, 1e-5, 0, torch.qint32)})


@_builder
def bare_parameter_list(path):
    return _save(path, [_linear(), torch.randn(8), _linear(20, 30)])


@_builder
def many_tensors(path):
    return _save(path, {"layer.%d.weight" % i: torch.randn(2, 3)
                        for i in range(3000)})


@_builder
def pickle_protocol_3(path):
    path = _save(path, {"w": _linear(), "tuple": (torch.ones(3),)},
                 pickle_protocol=3)
    return path, lambda: flatten(torch.load(path, weights_only=False))


@_builder
def pickle_protocol_5(path):
    value = {"w": _linear(), "deep": {"x" * 300: torch.ones(3)}}
    path = _save(path, value, pickle_protocol=5)
    return path, lambda: flatten(torch.load(path, weights_only=False))


@_builder
def whole_module(path):
    """A pickled module: its class is not needed for its weights."""
    module = torch.nn.Sequential(
        torch.nn.Linear(40, 30), torch.nn.BatchNorm1d(30),
        torch.nn.Linear(30, 20))
    path = _save(path, module)
    return path, lambda: dict(torch.load(path, weights_only=False).state_dict())


@_builder
def numpy_beside_weights(path):
    """Not for weights_only: the arrays are no tensors, the weights are."""
    path = _save(path, {"state_dict": {"w": _linear()},
                        "random_state": np.random.get_state()})
    return path, lambda: flatten(torch.load(path, weights_only=False))


@_builder
def another_device(path):
    """Saved on a GPU; reading it needs none."""
    original = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:3"
    try:
        return _save(path, {"w": _linear()})
    finally:
        torch.serialization.location_tag = original


@_builder
def another_file_name(path):
    """torch names the archive's root folder after the file."""
    return _save(path + " v1.5 (\u00fc)", {"w": _linear()})


@_builder
def saved_to_a_buffer(path):
    path += ".bin"
    with open(path, "wb") as file:
        torch.save({"w": _linear()}, file)
    return path


@_builder
def without_checksums(path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        return _save(path, {"w": _linear()})
    finally:
        torch.serialization.set_crc32_options(before)


def _rewrite(path, change):
    """Writes the archive anew with Python's zipfile, member by member."""
    with zipfile.ZipFile(path) as archive:
        members = [(info.filename, archive.read(info))
                   for info in archive.infolist()]
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, change(name, data))
    return path


@_builder
def unaligned(path):
    """As tools other than torch pack it: no padding before the data."""
    path = _save(path, {"w": _linear(), "b": torch.randn(7)})
    return _rewrite(path, lambda name, data: data)


@_builder
def big_endian(path):
    path = _save(path, {"w": _linear(), "d": _linear(dtype=torch.float64),
                        "h": _linear(dtype=torch.bfloat16)})
    sizes = {"/data/0": "<f4", "/data/1": "<f8", "/data/2": "<u2"}

    def swap(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        for ending, dtype in sizes.items():
            if name.endswith(ending):
                return np.frombuffer(data, dtype).byteswap().tobytes()
        return data

    return _rewrite(path, swap)


@_builder
def torchscript(path):
    """A compiled module: code beside the weights, which is not needed."""
    path += ".pt"
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 5), torch.nn.BatchNorm2d(24),
        torch.nn.Flatten(), torch.nn.Linear(24, 32)).eval()
    torch.jit.script(module).save(path)
    return path, lambda: load_torchscript(path), True


# What safetensors writes, and what it only reads.


@_builder
def safetensors_of_every_type(path):
    path += ".safetensors"
    x = torch.randn(8, 16)
    safetensors.torch.save_file({
        str(dtype)[6:]: x.to(dtype) for dtype in (
            torch.float64, torch.float32, torch.float16, torch.bfloat16,
            torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
            torch.float8_e5m2fnuz, torch.float8_e8m0fnu, torch.complex64,
            torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16,
            torch.uint32, torch.int32, torch.uint64, torch.int64)
    }, path, metadata={"format": "pt", "author": "somebody \u00fc"})
    return path


@_builder
def safetensors_odd(path):
    """Unaligned, empty and scalar tensors, in an order of their own."""
    path += ".safetensors"
    rng = np.random.default_rng(0)
    entries = [
        ("z.flag", "BOOL", [], b"\1"),
        ("b.weight", "F32", [24, 32], rng.standard_normal(768)
         .astype("<f4").tobytes()),
        ("empty", "F16", [0, 3], b""),
        ("a.weight", "BF16", [32, 33], rng.integers(0, 0x3f80, 1056)
         .astype("<u2").tobytes()),
        ("\u00fc", "U8", [3], b"abc"),
        ("step", "I64", [], (12).to_bytes(8, "little")),
    ]
    safetensors_file.write(
        path, [safetensors_file.Entry(*entry) for entry in entries])
    return path


@_builder
def safetensors_sharded(path):
    """A directory: the index beside its shards, and files that do not count."""
    os.mkdir(path)
    shards = {
        "model-00001-of-00002.safetensors": {
            "layers.0.weight": _linear(), "embed.weight": _linear(50, 30)},
        "model-00002-of-00002.safetensors": {
            "layers.1.weight": _linear(dtype=torch.bfloat16),
            "norm.weight": torch.ones(48)},
    }
    weight_map = {}
    for name, tensors in shards.items():
        safetensors.torch.save_file(tensors, os.path.join(path, name))
        weight_map.update(dict.fromkeys(tensors, name))
    index = {"metadata": {"total_size": 0}, "weight_map": weight_map}
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as file:
        json.dump(index, file)
    with open(os.path.join(path, "config.json"), "w") as file:
        file.write("{}")

    def load():
        state = {}
        for name in shards:
            state.update(load_safetensors(os.path.join(path, name)))
        return state

    return path, load
