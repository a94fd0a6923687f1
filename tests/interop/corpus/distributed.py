"""Directories of torch.distributed.checkpoint: what torch writes without a
process group, and by hand what several processes write."""

import argparse
import io
import json
import os
import pickle

import safetensors.torch
import torch
import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint import filesystem, format_utils, metadata

from tests.interop import stock
from tests.interop.corpus import whole_modules
from tests.interop.stock import linear

builder = stock.Family("dcp")


def _load(path):
    """As torch turns such a directory into one file."""
    whole = path + ".whole.pt"
    format_utils.dcp_to_torch_save(path, whole)
    return stock.load_value(whole)


def _checkpoint(path, **fields):
    return stock.Checkpoint(path, lambda: stock.weights(_load(path)),
                            ordered=False, **fields)


def _save(path, value, **options):
    dcp.save(value, checkpoint_id=path, no_dist=True, **options)
    return _checkpoint(path)


# As torch 2.13 writes them.


@builder
def state_dict(path):
    return _save(path, whole_modules.Net().state_dict())


@builder
def training_checkpoint(path):
    model, optimizer = whole_modules.trained()
    return _save(path, {
        "model": model.state_dict(), "optimizer": optimizer.state_dict(),
        "step": 3, "settings": argparse.Namespace(lr=0.1),
        "history": [torch.ones(2), {"loss": torch.zeros(3)}]})


@builder
def everything_of_it(path):
    model, optimizer = whole_modules.trained()
    _save(path, {"model": model.state_dict(),
                 "optimizer": optimizer.state_dict()})
    return stock.Checkpoint(path, lambda: stock.flatten(_load(path)),
                            ordered=False, arguments=("--root", "."))


@builder
def every_type(path):
    return _save(path, {
        str(dtype)[6:]: torch.randint(0, 90, (4, 5)).to(dtype) for dtype in (
            torch.bool, torch.uint8, torch.int8, torch.uint16, torch.int16,
            torch.uint32, torch.int32, torch.uint64, torch.int64,
            torch.float16, torch.bfloat16, torch.float32, torch.float64,
            torch.complex64, torch.complex128, torch.float8_e4m3fn,
            torch.float8_e5m2, torch.float8_e8m0fnu)})


@builder
def views_and_scalars(path):
    base = torch.randn(9, 12)
    return _save(path, {"t": base.t(), "rows": base[3:5], "wide":
                        base[:1].expand(4, 12), "step": torch.tensor(7),
                        "none": torch.empty(0), "rows of none":
                        torch.empty(0, 4)})


@builder
def names_with_dots(path):
    return _save(path, {"a.b": {"c.d": linear(3, 4), "e": [linear(2, 2)]},
                        "\u00fc": torch.ones(2)})


@builder
def in_several_files(path):
    writer = dcp.FileSystemWriter(path, single_file_per_rank=False)
    dcp.save({"w%d" % i: torch.randn(i, 3) for i in range(8)},
             storage_writer=writer, no_dist=True)
    return _checkpoint(path)


# As several processes write them.


def _save_chunks(path, tensors, objects=(), version="1.0.0"):
    """`tensors` is {name: (tensor, [(rank, offsets, sizes)])}."""
    os.mkdir(path)
    files, state, storage = {}, {}, {}

    def add(rank, data, index):
        name = "__%d_0.distcp" % rank
        file = files.setdefault(name, io.BytesIO())
        storage[index] = filesystem._StorageInfo(name, file.tell(), len(data))
        file.write(data)

    for name, (tensor, chunks) in tensors.items():
        placed = []
        for i, (rank, offsets, sizes) in enumerate(chunks):
            part = tensor[tuple(slice(o, o + s)
                                for o, s in zip(offsets, sizes))]
            buffer = io.BytesIO()
            torch.save(part.clone(), buffer)
            add(rank, buffer.getvalue(), metadata.MetadataIndex(
                name, torch.Size(offsets), i))
            placed.append(metadata.ChunkStorageMetadata(torch.Size(offsets),
                                                        torch.Size(sizes)))
        state[name] = metadata.TensorStorageMetadata(
            metadata.TensorProperties.create_from_tensor(tensor),
            tensor.size(), placed)
    for name, value in dict(objects).items():
        buffer = io.BytesIO()
        torch.save(value, buffer)
        add(0, buffer.getvalue(), metadata.MetadataIndex(name))
        state[name] = metadata.BytesStorageMetadata()
    for name, file in files.items():
        with open(os.path.join(path, name), "wb") as out:
            out.write(file.getvalue())
    document = metadata.Metadata(
        state, {name: tuple(name.split(".")) for name in state}, storage)
    if hasattr(document, "version"):
        document.version = version
    with open(os.path.join(path, ".metadata"), "wb") as out:
        pickle.dump(document, out)
    return _checkpoint(path)


@builder
def sharded_by_rows(path):
    """As fully sharded training does it, the last part being smaller."""
    w, b = linear(10, 6), torch.randn(3)
    return _save_chunks(path, {
        "fc.weight": (w, [(0, (0, 0), (4, 6)), (1, (4, 0), (4, 6)),
                          (2, (8, 0), (2, 6))]),
        "fc.bias": (b, [(0, (0,), (2,)), (1, (2,), (1,))])}, {"step": 3})


@builder
def sharded_by_columns_and_rows(path):
    """Tensor parallelism within data parallelism; chunks in any order."""
    w = linear(7, 10)
    cells = [(2 * (i > 0) + (j > 0), (i, j), (min(4, 7 - i), 5))
             for i in (4, 0) for j in (5, 0)]
    cube = torch.randn(4, 3, 6).to(torch.bfloat16)
    return _save_chunks(path, {
        "model.attn.weight": (w, cells),
        "model.conv": (cube, [(1, (0, 0, 3), (4, 3, 3)),
                              (0, (0, 0, 0), (4, 3, 3))]),
        "model.norm": (torch.ones(6), [(0, (0,), (6,))])})


@builder
def sharded_training_checkpoint(path):
    w = linear(8, 6)
    halves = [(0, (0, 0), (4, 6)), (1, (4, 0), (4, 6))]
    return _save_chunks(path, {
        "model.w": (w, halves), "optimizer.state.w.exp_avg": (w + 1, halves)},
        {"optimizer.param_groups.0": {"lr": 0.1}})


@builder
def many_chunks(path):
    w = linear(200, 4)
    return _save_chunks(path, {"w": (w, [(i % 7, (i, 0), (1, 4))
                                         for i in range(200)])})


# In safetensors files.


def _load_safetensors(path, like):
    """As torch reads it into tensors that are there already."""
    state = {name: torch.empty_like(tensor) for name, tensor in like.items()}
    dcp.load(state, storage_reader=dcp.HuggingFaceStorageReader(path),
             no_dist=True)
    return state


def _safetensors_checkpoint(path, state, container="dcp-safetensors"):
    return stock.Checkpoint(path, lambda: _load_safetensors(path, state),
                            ordered=False, container=container)


@builder
def safetensors_of_one_process(path):
    state = whole_modules.Block().state_dict()
    dcp.save(state, no_dist=True, storage_writer=dcp.HuggingFaceStorageWriter(
        path, {name: 1 + i % 2 for i, name in enumerate(state)},
        save_distributed=True))
    return _safetensors_checkpoint(path, state)


@builder
def safetensors_with_an_index(path):
    """A plain sharded model."""
    state = whole_modules.Block().state_dict()
    dcp.save(state, no_dist=True, storage_writer=dcp.HuggingFaceStorageWriter(
        path, {name: 1 + i % 2 for i, name in enumerate(state)}))
    return _safetensors_checkpoint(path, state, "safetensors-sharded")


@builder
def safetensors_of_several_processes(path):
    os.mkdir(path)
    w, b, n = linear(10, 6), torch.randn(5), torch.ones(4, dtype=torch.int64)
    cuts = (("w", w, (slice(0, 4), slice(0, 6))), ("b", b, (slice(0, 3),)),
            ("n", n, (slice(0, 4),))), (
            ("w", w, (slice(4, 10), slice(0, 2))), ("b", b, (slice(3, 5),))), (
            ("w", w, (slice(4, 10), slice(2, 6))),)
    for rank, parts in enumerate(cuts):
        offsets = {name: {"saved_offsets": [cut.start for cut in place]}
                   for name, _, place in parts}
        safetensors.torch.save_file(
            {name: tensor[place].clone() for name, tensor, place in parts},
            os.path.join(path, "shard-%05d-model-00001-of-00001.safetensors"
                         % (rank + 1)),
            {"format": "pt", "DCP_VERSION": "1.0",
             "DCP_SHARDING_INFO": json.dumps(offsets)})
    return _safetensors_checkpoint(path, {"w": w, "b": b, "n": n})
