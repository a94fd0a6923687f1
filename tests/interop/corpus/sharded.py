"""Models in several files, by an index or without."""

import json
import os

import safetensors.torch
import torch

from tests.interop import stock, tensor_bytes
from tests.interop.corpus import whole_modules
from tests.interop.stock import linear
from tests.support import safetensors_file

builder = stock.Family("safetensors-sharded")


def _index(path, name, weight_map, **metadata):
    with open(os.path.join(path, name), "w") as file:
        json.dump({"metadata": {"total_size": 0, **metadata},
                   "weight_map": weight_map}, file, indent=2)


def _side_files(path):
    for name, text in (
            ("config.json", '{"hidden_size": 48}'), ("tokenizer.json", "{}"),
            ("special_tokens_map.json", "{}"), ("LICENSE", "free"),
            ("README.md", "# a model")):
        with open(os.path.join(path, name), "w") as file:
            file.write(text)


def _load_shards(path, names, load):
    state = {}
    for name in names:
        state.update(load(os.path.join(path, name)))
    return state


def _safetensors_shards(path, shards, index):
    os.mkdir(path)
    for name, state in shards.items():
        safetensors.torch.save_file(state, os.path.join(path, name))
    _index(path, index, {tensor: name for name, state in shards.items()
                         for tensor in state})
    _side_files(path)
    return stock.Checkpoint(
        path, lambda: _load_shards(path, shards, stock.load_safetensors))


def _two_shards(stem):
    return {stem % 1: {"layers.0.weight": linear(), "embed.weight": linear(50)},
            stem % 2: {"layers.1.weight": linear(dtype=torch.bfloat16),
                       "norm.weight": torch.ones(48)}}


@builder
def directory(path):
    return _safetensors_shards(
        path, _two_shards("model-0000%d-of-00002.safetensors"),
        "model.safetensors.index.json")


@builder
def by_its_index(path):
    made = _safetensors_shards(
        path, _two_shards("model-0000%d-of-00002.safetensors"),
        "model.safetensors.index.json")
    return made._replace(path=os.path.join(path,
                                           "model.safetensors.index.json"))


@builder
def of_diffusers(path):
    return _safetensors_shards(
        path,
        _two_shards("diffusion_pytorch_model-0000%d-of-00002.safetensors"),
        "diffusion_pytorch_model.safetensors.index.json")


@builder
def variant(path):
    return _safetensors_shards(
        path, _two_shards("model-0000%d-of-00002.fp16.safetensors"),
        "model.safetensors.index.fp16.json")


@builder
def consolidated(path):
    return _safetensors_shards(
        path, _two_shards("consolidated-0000%d-of-00002.safetensors"),
        "consolidated.safetensors.index.json")


@builder
def tensors_beyond_the_index(path):
    """The index decides; what else is in a shard is named."""
    made = directory(path)
    shard = os.path.join(path, "model-00002-of-00002.safetensors")
    state = safetensors.torch.load_file(shard)
    expected = made.load()
    safetensors.torch.save_file(dict(state, extra=torch.ones(3)), shard)
    # The order of a file that is sorted by the width of its types.
    return stock.expecting(path, expected, ordered=False, noted=("extra",))


@builder
def many_shards(path):
    """In the index, tensors are in no order."""
    shards = {"model-%05d-of-00040.safetensors" % i: {
        "layers.%d.weight" % i: torch.randn(3, i + 1),
        "layers.%d.bias" % i: torch.randn(i)} for i in range(1, 41)}
    return _safetensors_shards(path, shards, "model.safetensors.index.json")


@builder
def one_file_in_a_directory(path):
    os.mkdir(path)
    file = os.path.join(path, "model.safetensors")
    safetensors.torch.save_file({"w": linear(), "b": torch.ones(3)}, file)
    _side_files(path)
    return stock.Checkpoint(path, lambda: stock.load_safetensors(file),
                            container="safetensors")


# Shards that are pickles.


def _pickled_shards(path, shards, index="pytorch_model.bin.index.json",
                    **options):
    os.mkdir(path)
    for name, state in shards.items():
        torch.save(state, os.path.join(path, name), **options)
    _index(path, index, {tensor: name for name, state in shards.items()
                         for tensor in state})
    _side_files(path)
    return stock.Checkpoint(
        path, lambda: _load_shards(path, shards, stock.load_flat),
        container="torch-sharded")


@builder
def bin_directory(path):
    return _pickled_shards(path,
                           _two_shards("pytorch_model-0000%d-of-00002.bin"))


@builder
def bin_by_its_index(path):
    made = _pickled_shards(path,
                           _two_shards("pytorch_model-0000%d-of-00002.bin"))
    return made._replace(path=os.path.join(path,
                                           "pytorch_model.bin.index.json"))


@builder
def bin_of_modules(path):
    state = whole_modules.Net().state_dict()
    names = list(state)
    halves = names[:len(names) // 2], names[len(names) // 2:]
    return _pickled_shards(path, {
        "pytorch_model-0000%d-of-00002.bin" % i: {n: state[n] for n in half}
        for i, half in enumerate(halves, 1)})


@builder
def bin_of_legacy_streams(path):
    return _pickled_shards(path,
                           _two_shards("pytorch_model-0000%d-of-00002.bin"),
                           _use_new_zipfile_serialization=False)


@builder
def bin_alone_in_a_directory(path):
    os.mkdir(path)
    file = os.path.join(path, "pytorch_model.bin")
    torch.save({"w": linear(), "b": torch.ones(3)}, file)
    _side_files(path)
    return stock.Checkpoint(path, lambda: stock.load_flat(file),
                            container="torch")


@builder
def safetensors_beside_the_same_bin(path):
    made = one_file_in_a_directory(path)
    torch.save({"other": torch.ones(3)},
               os.path.join(path, "pytorch_model.bin"))
    torch.save({"state": {0: torch.ones(3)}},
               os.path.join(path, "optimizer.bin"))
    return made


# Quirks of the format itself.


@builder
def unaligned_data(path):
    """Older writers did not pad the header."""
    path += ".safetensors"
    header = {"a": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]},
              "b": {"dtype": "I64", "shape": [2], "data_offsets": [12, 28]}}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8 + 3)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        file.write(torch.arange(3.0).numpy().tobytes()
                   + torch.arange(2).numpy().tobytes())
    return stock.loaded(path, container="safetensors")


@builder
def four_bit_floats(path):
    path += ".safetensors"
    codes = torch.arange(96, dtype=torch.uint8).reshape(4, 24)
    safetensors.torch.save_file({"f4": codes.view(torch.float4_e2m1fn_x2)},
                                path)
    return stock.loaded(path, container="safetensors")


@builder
def six_bit_floats(path):
    """Four elements in three bytes; torch has no such type."""
    path += ".safetensors"
    data = bytes(range(96))
    safetensors_file.write(path, [
        safetensors_file.Entry("e2m3", "F6_E2M3", [8, 16], data),
        safetensors_file.Entry("e3m2", "F6_E3M2", [128], data)])
    return stock.expecting(path, {
        "e2m3": tensor_bytes.Bytes("F6_E2M3", [8, 16], data),
        "e3m2": tensor_bytes.Bytes("F6_E3M2", [128], data)},
        container="safetensors")


@builder
def tied_by_save_model(path):
    """Only one of two names is in the file."""
    path += ".safetensors"
    model = torch.nn.ModuleDict({"embed": torch.nn.Embedding(9, 8),
                                 "head": torch.nn.Linear(8, 9, bias=False)})
    model["head"].weight = model["embed"].weight
    safetensors.torch.save_model(model, path)
    return stock.loaded(path, container="safetensors")


@builder
def no_tensors(path):
    path += ".safetensors"
    safetensors.torch.save_file({}, path, metadata={"format": "pt"})
    return stock.loaded(path, container="safetensors")
