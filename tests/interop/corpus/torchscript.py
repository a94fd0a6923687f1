"""Compiled modules: torch.jit.save, its lite and mobile forms, and those of
torch 1.0 to 1.4 by hand."""

import collections
import json
import zipfile
from typing import Optional

import numpy as np
import torch
from torch import nn

from tests.interop import stock

builder = stock.Family("torchscript")


class Model(nn.Module):
    """Shared parameters, and tensors that are no parameters."""

    cache: Optional[torch.Tensor]

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 5)
        self.again = nn.Linear(6, 5)
        self.again.weight = self.encode.weight
        self.blocks = nn.Sequential(nn.Linear(5, 5), nn.BatchNorm1d(5))
        self.register_buffer("mask", torch.tensor([1, 0, 1, 1, 0]).bool())
        self.register_buffer("transient", torch.randn(5), persistent=False)
        self.shift = torch.randn(5)
        self.steps = [torch.randn(2), torch.randn(3)]
        self.table = {"a": torch.randn(1), "b": torch.randn(4)}
        self.names = ["x", "y"]
        self.sizes = {"a": [1, 2]}
        self.cache = None
        self.pair = (torch.randn(2), 3, torch.randn(1))

    def forward(self, x):
        y = self.encode(x) + self.again(x) + self.shift + self.transient
        y = self.blocks(y) * self.mask + self.steps[0].sum()
        return y + self.table["a"] + self.pair[0].sum() + len(self.names)


def _checkpoint(path, **fields):
    return stock.Checkpoint(path, lambda: stock.load_torchscript(path),
                            ordered=False, **fields)


def _flatbuffer_checkpoint(path):
    def load():
        model = torch.jit.jit_module_from_flatbuffer(path)
        # Its tensors point into a buffer that goes with the module.
        return {name: tensor.clone()
                for name, tensor in stock.compiled_state(model).items()}

    return stock.Checkpoint(path, load, ordered=False,
                            container="torch-mobile")


def _script(path, module):
    path += ".pt"
    torch.jit.script(module.eval()).save(path)
    return _checkpoint(path)


@builder
def scripted(path):
    return _script(path, Model())


@builder
def traced(path):
    path += ".pt"
    torch.jit.trace(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval(),
                    torch.randn(1, 3, 8, 8)).save(path)
    return _checkpoint(path)


@builder
def recurrent(path):
    """Has its weights a second time, in a list."""
    return _script(path, nn.LSTM(4, 5, 2, bidirectional=True))


@builder
def embedding_and_attention(path):
    return _script(path, nn.Sequential(nn.Embedding(20, 8),
                                      nn.TransformerEncoderLayer(8, 2, 12)))


@builder
def half_and_double(path):
    return _script(path, nn.Sequential(nn.Linear(4, 5).half(),
                                      nn.Linear(5, 3).double(),
                                      nn.Linear(3, 2).bfloat16()))


@builder
def with_views(path):
    """Parameters that are transposed, or parts of one storage."""
    model = nn.Sequential(nn.Linear(5, 5, bias=False), nn.Linear(5, 5))
    whole = torch.randn(10, 5)
    model[0].weight = nn.Parameter(whole[:5].t())
    model[1].weight = nn.Parameter(whole[5:])
    return _script(path, model)


@builder
def with_extra_files(path):
    path += ".pt"
    torch.jit.save(torch.jit.script(nn.Linear(3, 4)), path,
                   _extra_files={"labels.txt": "a\nb", "config.json": "{}"})
    return _checkpoint(path)


@builder
def frozen(path):
    """Parameters have become constants in the code, which have numbers."""
    path += ".pt"
    torch.jit.freeze(torch.jit.script(nn.Linear(3, 4).eval())).save(path)

    def load():
        _, constants = torch.jit.load(path).code_with_constants
        return {name[1:]: tensor
                for name, tensor in constants.const_mapping.items()}

    return stock.Checkpoint(path, load)


@builder
def lite_interpreter(path):
    path += ".ptl"
    torch.jit.script(Model().eval())._save_for_lite_interpreter(path)
    return _checkpoint(path, container="torchscript-lite")


@builder
def flatbuffer(path):
    path += ".ff"
    torch.jit.save_jit_module_to_flatbuffer(
        torch.jit.script(Model().eval()), path)

    return _flatbuffer_checkpoint(path)


@builder
def lite_flatbuffer(path):
    path += ".ptl"
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)).eval()
    torch.jit.script(model)._save_for_lite_interpreter(path,
                                                       _use_flatbuffer=True)
    return _flatbuffer_checkpoint(path)


# By hand. Torch 2.13 has dropped the reader of the JSON form.

_ARRAYS = [np.arange(24, dtype="<f4"), np.arange(4, dtype="<f4") / 7,
           np.arange(6, dtype="<i8"), np.arange(6).astype("<f2")]


def _definition(storage, dims, strides, kind, offset=0, gradient=True):
    """A TensorDef of the protocol buffers' JSON: 64-bit integers are text."""
    return {"dims": [str(dim) for dim in dims], "offset": str(offset),
            "strides": [str(stride) for stride in strides],
            "requiresGrad": gradient, "dataType": kind,
            "data": {"key": "tensors/%d" % storage}, "device": "cpu"}


def _json_archive(path, version, producer):
    def parameter(number, name, buffer=False):
        return {"isBuffer": buffer, "tensorId": str(number), "name": name}

    model = {
        "protoVersion": version, "producerName": "pytorch",
        "producerVersion": producer,
        "mainModule": {
            "name": "Net", "optimize": True,
            "torchscriptArena": {"key": "code/net.py"},
            "parameters": [parameter(0, "weight")],
            "submodules": [
                {"name": "conv", "optimize": True, "parameters": [
                    parameter(1, "weight"), parameter(2, "bias")]},
                {"name": "norm", "optimize": True, "parameters": [
                    parameter(3, "running_mean", True),
                    parameter(4, "num_batches_tracked", True)],
                 "submodules": [{"name": "deep", "parameters": [
                     parameter(5, "half"), parameter(0, "tied")]}]}]},
        "tensors": [
            _definition(0, (4, 3), (3, 1), "FLOAT"),
            _definition(0, (3, 4), (1, 3), "FLOAT", 12),
            _definition(1, (4,), (1,), "FLOAT"),
            _definition(1, (3,), (1,), "FLOAT", 1, False),
            _definition(2, (), (), "INT64", 4, False),
            _definition(3, (2, 3), (3, 1), "FLOAT16")],
    }
    path += ".pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("net/version", "1\n")
        archive.writestr("net/code/net.py", "op_version_set = 1\n")
        for i, array in enumerate(_ARRAYS):
            archive.writestr("net/tensors/%d" % i, array.tobytes())
        archive.writestr("net/model.json", json.dumps(model, indent=1))
    floats, bias, numbers, halves = map(torch.from_numpy, _ARRAYS)
    return stock.expecting(path, collections.OrderedDict([
        ("weight", floats[:12].view(4, 3)),
        ("conv.weight", floats[12:].view(4, 3).t()), ("conv.bias", bias),
        ("norm.running_mean", bias[1:]),
        ("norm.num_batches_tracked", numbers[4]),
        ("norm.deep.half", halves.view(2, 3)),
        ("norm.deep.tied", floats[:12].view(4, 3))]), ordered=False)


@builder
def of_torch_1_0(path):
    return _json_archive(path, "2", "1.0")


@builder
def of_torch_1_2(path):
    return _json_archive(path, "6", "1.2")


@builder
def of_torch_1_4(path):
    """Persistent ids have a sixth item; there is no byte order."""
    source = path + ".pt"
    torch.jit.script(nn.Linear(3, 4)).save(source)
    path += "_old.pt"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for info in old.infolist():
            name, data = info.filename, old.read(info)
            if name.endswith("/byteorder") or "/.data/" in name:
                continue
            if name.endswith("/data.pkl"):
                # The element count, 12 or 4, and the end of the tuple.
                for count in (b"K\x0c", b"K\4"):
                    data = data.replace(count + b"tQ", count + b"NtQ")
            new.writestr(name, data)
    return _checkpoint(path)
