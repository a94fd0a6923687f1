"""Checkpoints as torch and safetensors write them, one for each thing that a
reader can get wrong.

`make_all(folder)` writes them and returns a list of Checkpoint.
"""

import collections
import json
import os
import zipfile

import numpy as np
import safetensors.torch
import torch

from tests.interop import stock
from tests.interop.stock import linear, save
from tests.support import safetensors_file

builder = stock.Family("torch")
make_all = builder.make_all


# What torch.save writes.


@builder
def state_dict_of_modules(path):
    """An OrderedDict with _metadata, as state_dict() gives it."""
    return save(path, torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 5), torch.nn.BatchNorm2d(24), torch.nn.Flatten(),
        torch.nn.Linear(96, 32, bias=False), torch.nn.LayerNorm(32),
        torch.nn.Embedding(40, 32)).state_dict())


@builder
def state_dict_of_a_transformer(path):
    return save(path, torch.nn.TransformerEncoder(
        torch.nn.TransformerEncoderLayer(64, 4, 96), 2).state_dict())


@builder
def state_dict_of_recurrent_layers(path):
    return save(path, torch.nn.ModuleDict({
        "lstm": torch.nn.LSTM(24, 40, 2, bidirectional=True),
        "gru": torch.nn.GRU(24, 40), "cell": torch.nn.GRUCell(40, 40),
        "attention": torch.nn.MultiheadAttention(40, 4)}).state_dict())


@builder
def convolutions_of_every_rank(path):
    return save(path, torch.nn.ModuleList([
        torch.nn.Conv1d(16, 32, 7), torch.nn.Conv2d(16, 32, (3, 5)),
        torch.nn.Conv3d(4, 8, 3), torch.nn.ConvTranspose2d(16, 8, 3),
        torch.nn.Conv2d(16, 32, 3, groups=4)]).state_dict())


@builder
def plain_dict(path):
    return save(path, {"w": linear(), "b": torch.randn(48)})


@builder
def half_and_bfloat(path):
    return save(path, {"h": linear(dtype=torch.float16),
                        "b": linear(dtype=torch.bfloat16)})


@builder
def double(path):
    return save(path, {"d": linear(dtype=torch.float64)})


@builder
def integers_and_bool(path):
    counts = torch.arange(-8, 8)
    return save(path, collections.OrderedDict(
        (str(dtype)[6:], counts.to(dtype)) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16,
            torch.uint32, torch.int32, torch.uint64, torch.int64)))


@builder
def complex_numbers(path):
    x = torch.randn(6, 4, dtype=torch.complex128)
    return save(path, {"c64": x.to(torch.complex64)})


@builder
def complex_without_safetensors(path):
    """Types that safetensors has no spelling for."""
    x = torch.randn(6, 4, dtype=torch.complex128)
    return save(path, {"c128": x, "c32": x.to(torch.complex32)})


@builder
def eight_bit_floats(path):
    x = torch.randn(16, 48)
    return save(path, {str(dtype)[6:]: x.to(dtype) for dtype in (
        torch.float8_e4m3fn, torch.float8_e5m2, torch.float8_e4m3fnuz,
        torch.float8_e5m2fnuz, torch.float8_e8m0fnu)})


@builder
def four_bit_floats(path):
    codes = torch.arange(96, dtype=torch.uint8).reshape(4, 24)
    return save(path, {"f4": codes.view(torch.float4_e2m1fn_x2)})


@builder
def bit_containers(path):
    codes = torch.arange(96, dtype=torch.uint8).reshape(4, 24)
    return save(path, {str(dtype)[6:]: codes.view(dtype) for dtype in (
        torch.bits8, torch.bits16, torch.bits1x8, torch.bits2x4,
        torch.bits4x2)})


@builder
def strided_views(path):
    """One storage, seen in every way that strides allow."""
    base = torch.arange(4 * 30 * 20, dtype=torch.float32).reshape(4, 30, 20)
    return save(path, {
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


@builder
def expanded(path):
    """Stride 0: few bytes, many elements."""
    return save(path, {
        "row": torch.randn(1, 40).expand(30, 40),
        "column": torch.randn(30, 1).expand(30, 40),
        "scalar": torch.tensor(0.5).expand(8, 80),
        "middle": torch.randn(6, 1, 5).expand(6, 30, 5),
    })


@builder
def transposed_weights(path):
    return save(path, {"linear.weight": linear().t(),
                        "conv.weight": torch.randn(3, 3, 16, 32)
                        .permute(3, 2, 0, 1)})


@builder
def channels_last(path):
    return save(path, {"conv.weight": torch.randn(32, 16, 3, 3).to(
        memory_format=torch.channels_last)})


@builder
def tied_weights(path):
    table, head = torch.nn.Parameter(linear()), linear(40, 40)
    return save(path, collections.OrderedDict([
        ("encoder.embed.weight", table), ("mid.weight", head),
        ("decoder.embed.weight", table), ("bias", torch.randn(48)),
        ("lm_head.weight", table.data), ("mid.copy", head)]))


@builder
def partly_shared(path):
    """Views of one storage that are not the same tensor."""
    fused = torch.randn(96, 32)
    return save(path, {
        "q": fused[:32], "k": fused[32:64], "v": fused[64:], "qkv": fused,
        "again": fused[32:64], "flat": fused.reshape(-1),
        "square": fused[:32].t()})


@builder
def parameters(path):
    marked = torch.nn.Parameter(linear())
    marked.note = "kept in the state of the parameter"
    frozen = torch.nn.Parameter(linear(), requires_grad=False)
    buffer = torch.nn.Buffer(torch.arange(5))
    return save(path, {"marked": marked, "frozen": frozen, "buffer": buffer})


@builder
def gradients_required(path):
    return save(path, {"leaf": linear().requires_grad_()})


@builder
def scalars(path):
    return save(path, {
        "step": torch.tensor(7), "loss": torch.tensor(0.25),
        "flag": torch.tensor(True), "w": linear()})


@builder
def empty_tensors(path):
    return save(path, {
        "none": torch.empty(0), "rows": torch.empty(0, 128),
        "columns": torch.empty(64, 0), "w": linear(),
        "cube": torch.empty(3, 0, 2, dtype=torch.int64)})


@builder
def unicode_names(path):
    return save(path, {
        "gewicht.\u00e4\u00f6\u00fc": linear(),
        "\u5c64.\u91cd\u307f": linear(),
        "\U0001f600": torch.randn(3), "with space/and slash": linear(),
        'quotes"and\\backslash': linear(), "new\nline\ttab": torch.randn(2),
        "": torch.randn(4), "x" * 1000: torch.randn(5)})


@builder
def integer_keys(path):
    return save(path, {0: linear(), 1: torch.randn(4), 10: linear()})


@builder
def nested_lists(path):
    return save(path, {
        "layers": [{"w": linear(), "b": torch.randn(48)}, (linear(), None)],
        "size": (3, 4), "name": "net"})


@builder
def training_checkpoint(path):
    """Weights, optimizer state, counters and settings."""
    model = torch.nn.Sequential(torch.nn.Linear(40, 30), torch.nn.Linear(30, 2))
    optimizer = torch.optim.Adam(model.parameters())
    model(torch.randn(3, 40)).sum().backward()
    optimizer.step()
    return save(path, {
        "epoch": 3, "model": model.state_dict(),
        "optimizer": optimizer.state_dict(), "best": 0.5, "tag": None,
        "rng": torch.get_rng_state(),
        "args": {"lr": 1e-3, "names": ["a", "b"]}})


@builder
def training_checkpoint_of_lightning(path):
    return save(path, {
        "epoch": 1, "global_step": 10, "pytorch-lightning_version": "2.5",
        "state_dict": collections.OrderedDict([("net.w", linear())]),
        "loops": {"fit": {"done": True}}, "callbacks": {},
        "optimizer_states": [{"state": {0: {"exp_avg": linear()}}}],
        "hyper_parameters": {"width": 48}})


@builder
def training_checkpoint_model_state_dict(path):
    return save(path, {"model_state_dict": {"w": linear()}, "loss": 0.125,
                        "optimizer_state_dict": {"state": {}}})


@builder
def conjugated_views(path):
    """The bits say that the values are still to be conjugated."""
    x = torch.randn(24, 32, dtype=torch.complex64)
    return save(path, {"conj": x.conj(), "adjoint": x.mH, "plain": x})


@builder
def negated_views(path):
    """Parts of a complex tensor; those of its conjugate are to be negated."""
    x = torch.randn(24, 32, dtype=torch.complex64)
    return save(path, {"imag_of_conj": x.conj().imag, "real": x.real,
                        "imag": x.imag})


@builder
def legacy_quantized(path):
    """torch's quantized tensors, which are read as floats."""
    x = torch.randn(6, 40)
    scales, zeros = torch.rand(6) + 0.01, torch.zeros(6, dtype=torch.int64)
    return save(path, {
        "tensor": torch.quantize_per_tensor(x, 0.05, 3, torch.quint8),
        "channel": torch.quantize_per_channel(x, scales, zeros, 0, torch.qint8),
        "wide": torch.quantize_per_tensor(x, 1e-5, 0, torch.qint32)})


@builder
def bare_parameter_list(path):
    return save(path, [linear(), torch.randn(8), linear(20, 30)])


@builder
def many_tensors(path):
    return save(path, {"layer.%d.weight" % i: torch.randn(2, 3)
                        for i in range(3000)})


@builder
def pickle_protocol_3(path):
    return save(path, {"w": linear(), "tuple": (torch.ones(3),)},
                pickle_protocol=3)


@builder
def pickle_protocol_5(path):
    value = {"w": linear(), "deep": {"x" * 300: torch.ones(3)}}
    return save(path, value, pickle_protocol=5)


@builder
def whole_module(path):
    """A pickled module: its class is not needed for its weights."""
    return save(path, torch.nn.Sequential(
        torch.nn.Linear(40, 30), torch.nn.BatchNorm1d(30),
        torch.nn.Linear(30, 20)))


@builder
def numpy_beside_weights(path):
    """Not for weights_only: the arrays are no tensors, the weights are."""
    return save(path, {"state_dict": {"w": linear()},
                       "random_state": np.random.get_state()})


@builder
def another_device(path):
    """Saved on a GPU; reading it needs none."""
    original = torch.serialization.location_tag
    torch.serialization.location_tag = lambda storage: "cuda:3"
    try:
        return save(path, {"w": linear()})
    finally:
        torch.serialization.location_tag = original


@builder
def another_file_name(path):
    """torch names the archive's root folder after the file."""
    return save(path + " v1.5 (\u00fc)", {"w": linear()})


@builder
def saved_to_a_buffer(path):
    path += ".bin"
    with open(path, "wb") as file:
        torch.save({"w": linear()}, file)
    return path


@builder
def without_checksums(path):
    before = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(False)
    try:
        return save(path, {"w": linear()})
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


@builder
def unaligned(path):
    """As tools other than torch pack it: no padding before the data."""
    path = save(path, {"w": linear(), "b": torch.randn(7)})
    return _rewrite(path, lambda name, data: data)


@builder
def big_endian(path):
    path = save(path, {"w": linear(), "d": linear(dtype=torch.float64),
                        "h": linear(dtype=torch.bfloat16)})
    sizes = {"/data/0": "<f4", "/data/1": "<f8", "/data/2": "<u2"}

    def swap(name, data):
        if name.endswith("/byteorder"):
            return b"big"
        for ending, dtype in sizes.items():
            if name.endswith(ending):
                return np.frombuffer(data, dtype).byteswap().tobytes()
        return data

    return _rewrite(path, swap)


@builder
def torchscript(path):
    """A compiled module: code beside the weights, which is not needed."""
    path += ".pt"
    module = torch.nn.Sequential(
        torch.nn.Conv2d(3, 24, 5), torch.nn.BatchNorm2d(24),
        torch.nn.Flatten(), torch.nn.Linear(24, 32)).eval()
    torch.jit.script(module).save(path)
    return stock.Checkpoint(path, lambda: stock.load_torchscript(path),
                            ordered=False, container="torchscript")


# What safetensors writes, and what it only reads.


@builder
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
    return stock.loaded(path, container="safetensors")


@builder
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
    return stock.loaded(path, container="safetensors")


@builder
def safetensors_sharded(path):
    """A directory: the index beside its shards, and files that do not count."""
    os.mkdir(path)
    shards = {
        "model-00001-of-00002.safetensors": {
            "layers.0.weight": linear(), "embed.weight": linear(50, 30)},
        "model-00002-of-00002.safetensors": {
            "layers.1.weight": linear(dtype=torch.bfloat16),
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
            state.update(stock.load_safetensors(os.path.join(path, name)))
        return state

    return stock.Checkpoint(path, load, container="safetensors-sharded")
