"""Exported programs (.pt2): torch.export.save, the layout of torch 2.1 to 2.7
and packages of compiled programs by hand."""

import functools
import io
import json
import zipfile

import torch
from torch import nn
from torch.export.pt2_archive._package import load_pt2, package_pt2
from torch.export.pt2_archive._package_weights import TensorProperties, Weights

from tests.interop import stock
from tests.interop.stock import linear

builder = stock.Family("torch-export")


class Model(nn.Module):

    def __init__(self):
        super().__init__()
        self.encode = nn.Linear(6, 5)
        self.again = nn.Linear(6, 5)
        self.again.weight = self.encode.weight
        self.conv = nn.Conv1d(1, 2, 3).to(torch.float64)
        self.gain = nn.Parameter(torch.randn(5).half())
        self.norm = nn.BatchNorm1d(5)
        self.register_buffer("mask", torch.tensor([1, 0, 1, 1, 0]).bool())
        self.register_buffer("transient", torch.randn(5), persistent=False)
        self.register_buffer("view", torch.randn(5, 4).t())
        self.shift = torch.randn(5)

    def forward(self, x):
        y = self.encode(x) + self.again(x) + self.shift + self.transient
        y = self.norm(y * self.mask + self.gain) @ self.view.t()
        return self.conv(y[:, None].double())


@functools.lru_cache(maxsize=None)
def _program():
    """The same for all files: exporting takes seconds."""
    torch.manual_seed(0)
    return torch.export.export(Model().eval(), (torch.randn(3, 6),))


def _constants(program):
    return {name: value for name, value in program.constants.items()
            if isinstance(value, torch.Tensor)}


def _of_program(path):
    return stock.Checkpoint(
        path, lambda: dict(torch.export.load(path).state_dict), ordered=False,
        noted=("shift",))


def _torch_save(value):
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


# As torch 2.13 writes them.


@builder
def program(path):
    path += ".pt2"
    torch.export.save(_program(), path)
    return _of_program(path)


@builder
def program_with_extra_files(path):
    path += ".pt2"
    torch.export.save(_program(), path, extra_files={"labels.txt": "a\nb"})
    return _of_program(path)


@builder
def constants_of_a_program(path):
    made = program(path)
    return made._replace(
        load=lambda: _constants(torch.export.load(made.path)),
        arguments=("--root", "constants"), noted=())


@builder
def everything_of_a_program(path):
    made = program(path)

    def load():
        loaded = torch.export.load(made.path)
        return {**loaded.state_dict,
                **{"constants." + name: tensor
                   for name, tensor in _constants(loaded).items()}}

    return made._replace(load=load, arguments=("--root", "."), noted=())


@builder
def two_programs(path):
    path += ".pt2"
    package_pt2(path, exported_programs={"one": _program(), "two": _program()})

    def load():
        programs = load_pt2(path).exported_programs
        return {"%s.%s" % (name, key): tensor
                for name, loaded in programs.items()
                for key, tensor in loaded.state_dict.items()}

    return stock.Checkpoint(path, load, ordered=False)


# By hand.

# Numbers of the schema, which are not those of the C++ enumeration.
_NUMBERS = {
    torch.uint8: 1, torch.int8: 2, torch.int16: 3, torch.int32: 4,
    torch.int64: 5, torch.float16: 6, torch.float32: 7, torch.float64: 8,
    torch.complex32: 9, torch.complex64: 10, torch.complex128: 11,
    torch.bool: 12, torch.bfloat16: 13, torch.uint16: 28,
    torch.float8_e4m3fn: 29, torch.float8_e5m2: 30, torch.float8_e4m3fnuz: 31,
    torch.float8_e5m2fnuz: 32, torch.float8_e8m0fnu: 33, torch.uint32: 34,
    torch.uint64: 35,
}


def _config(tensor, path_name, pickled=False):
    return {
        "path_name": path_name, "is_param": tensor.dtype.is_floating_point,
        "use_pickle": pickled, "tensor_meta": {
            "dtype": _NUMBERS[tensor.dtype],
            "sizes": [{"as_int": size} for size in tensor.shape],
            "requires_grad": False, "device": {"type": "cuda", "index": 1},
            "strides": [{"as_int": step} for step in tensor.stride()],
            "storage_offset": {"as_int": tensor.storage_offset()},
            "layout": 7}}


def _write(path, members):
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr("package/" + name, data)
    return path


def _bytes_of(tensor):
    return bytes(tensor.untyped_storage().tolist())


def _archive(weights, constants=(), model="model"):
    """Members of the layout since 2.8. Equal storages are written once."""
    members = [("archive_format", "pt2"), ("archive_version", "0"),
               ("models/%s.json" % model, "{}"), ("byteorder", "little"),
               (".data/version", "3\n")]
    for folder, stem, state in (("weights", "weight", dict(weights)),
                                ("constants", "tensor", dict(constants))):
        names, config = {}, {}
        for name, tensor in state.items():
            key = tensor.untyped_storage().data_ptr()
            if key not in names:
                names[key] = "%s_%d" % (stem, len(names))
                members.append(("data/%s/%s" % (folder, names[key]),
                                _bytes_of(tensor)))
            config[name] = _config(tensor, names[key])
        members.append(("data/%s/%s_%s_config.json" % (folder, model, folder),
                        json.dumps({"config": config})))
    return members


@builder
def every_type(path):
    state = {"p." + str(dtype)[6:]: torch.randint(0, 90, (4, 5)).to(dtype)
             for dtype in _NUMBERS}
    return stock.expecting(_write(path + ".pt2", _archive(state)), state,
                           ordered=False)


@builder
def views_and_ties(path):
    base = torch.randn(6, 8)
    state = {"base": base, "t": base.t(), "rows": base[2:4], "tied": base,
             "one": base[5, 7], "none": torch.empty(0, 3)}
    constants = {"lifted": torch.randn(3).expand(4, 3)}
    return stock.expecting(
        _write(path + ".pt2", _archive(state, constants, "net")), state,
        ordered=False, noted=("lifted",))


@builder
def pickled_weights(path):
    """use_pickle: the member is a file of torch.save."""
    weight, plain = linear(), torch.randn(7)
    config = {"plain": _config(plain, "weight_0"),
              "subclass": _config(weight, "weight_1", pickled=True)}
    path = _write(path + ".pt2", [
        ("archive_format", "pt2"), ("archive_version", "0"),
        ("data/weights/weight_0", _bytes_of(plain)),
        ("data/weights/weight_1", _torch_save(weight)),
        ("data/weights/model_weights_config.json",
         json.dumps({"config": config})),
        ("data/constants/model_constants_config.json", '{"config": {}}'),
        ("byteorder", "little"), (".data/version", "3\n")])
    return stock.expecting(path, {"plain": plain, "subclass": weight},
                           ordered=False)


@builder
def of_torch_2_5(path):
    """State and constants are whole files of torch.save."""
    program = _program()
    path += ".pt2"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("serialized_exported_program.json", "{}")
        archive.writestr("serialized_state_dict.pt",
                         _torch_save(dict(program.state_dict)))
        archive.writestr("serialized_constants.pt",
                         _torch_save(dict(program.constants)))
        archive.writestr("serialized_example_inputs.pt",
                         _torch_save(((torch.ones(2),), {})))
        archive.writestr("version", "7.3")
        archive.writestr("extra_files/labels.txt", "a")
    return stock.expecting(path, dict(program.state_dict), ordered=False,
                           noted=("constants",))


@builder
def compiled_package(path):
    """AOTInductor with its constants on disk, beside a library."""
    weight, bias = linear(), torch.randn(48)
    state = {"fc.weight": weight, "fc.t": weight.t(), "fc.row": weight[3],
             "fc.bias": bias}
    library = path + ".so"
    with open(library, "wb") as file:
        file.write(b"\x7fELF" + b"\0" * 60)
    path += ".pt2"
    package_pt2(path, aoti_files={"model": [
        library, Weights({name: (tensor, TensorProperties(tensor))
                          for name, tensor in state.items()})]})
    return stock.expecting(path, state, ordered=False)
