"""Reads monoquant's outputs with the stock libraries alone, and decodes them
as docs/formats.md says. Shares no code with monoquant."""

import json
import zipfile
from typing import NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch

FLOATS = {"F16": torch.float16, "BF16": torch.bfloat16, "F32": torch.float32,
          "F64": torch.float64}


class Output(NamedTuple):
    state: dict  # {name: tensor}, tied names included
    record: dict  # what was done; None for a plain checkpoint


def load_torch(path):
    state = torch.load(path, weights_only=True)
    record = None
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        for name in archive.namelist():
            if name.endswith("/monoquant.json"):
                record = json.loads(archive.read(name))
    return Output(state, record)


def load_safetensors(path):
    state = safetensors.torch.load_file(path)
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata() or {}
    for name, kept in json.loads(metadata.get("monoquant.ties", "{}")).items():
        state[name] = state[kept]
    record = metadata.get("monoquant")
    return Output(state, json.loads(record) if record else None)


def load(path):
    return (load_safetensors if path.endswith(".safetensors")
            else load_torch)(path)


def unpack(packed, shape, signed):
    """Codes of four bits: two a byte, the low half first, rows whole bytes."""
    rows = packed.numpy().reshape(shape[0], -1)
    codes = np.stack([rows & 15, rows >> 4], -1).reshape(shape[0], -1)
    codes = codes[:, :int(np.prod(shape[1:]))].reshape(shape).astype(np.int64)
    return np.where(codes > 7, codes - 16, codes) if signed else codes


def spread(parameters, scheme, shape):
    """Scales or zero points, one for each element."""
    if parameters.dtype in (torch.float8_e8m0fnu, torch.float8_e4m3fn):
        parameters = parameters.float()
    parameters = parameters.numpy()
    if parameters.ndim == 0:
        return np.broadcast_to(parameters, shape)
    if scheme["granularity"] == "axis":
        dims = [-1 if i == scheme["axis"] else 1 for i in range(len(shape))]
        return np.broadcast_to(parameters.reshape(dims), shape)
    return np.repeat(parameters, scheme["group_size"], axis=1).reshape(shape)


def scales(output, row):
    """What the codes of the record's entry `row` are multiplied with."""
    spread_out = spread(output.state[row["scale"]], row["scheme"],
                        row["shape"])
    if "global_scale" not in row:
        return spread_out
    return spread_out / output.state[row["global_scale"]].numpy()


# The numbers of 4-bit codes that are none themselves.
E2M1 = [0, 0.5, 1, 1.5, 2, 3, 4, 6]
FP4 = [x / 12 for x in (0, 0.0625, 8, 12, 4, 6, 2, 3)]
TABLES = {
    "fp4_e2m1": E2M1 + [-float(x) for x in E2M1],  # -0 is one of them
    "fp4": FP4 + [0] + [-x for x in FP4[1:]],
    "nf4": [-1, -0.6961928009986877, -0.5250730514526367,
            -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
            -0.09105003625154495, 0, 0.07958029955625534, 0.16093020141124725,
            0.24611230194568634, 0.33791524171829224, 0.44070982933044434,
            0.5626170039176941, 0.7229568362236023, 1],
}


def decode(output, row):
    """The float tensor that the record's entry `row` stands for."""
    scheme, shape = row["scheme"], row["shape"]
    dtype = FLOATS[row["dtype"]]
    stored = output.state[row["name"]]
    if scheme["format"] in ("fp16", "bf16"):
        return stored.to(dtype)
    scale = scales(output, row)
    if scheme["format"].startswith("fp8"):
        values = stored.to(torch.float32).numpy() * scale
        return torch.from_numpy(values).to(dtype)
    if scheme["format"] in TABLES:
        table = np.array(TABLES[scheme["format"]], np.float32)
        values = table[unpack(stored, shape, False)] * scale
        return torch.from_numpy(values).to(dtype)
    if scheme["format"] == "llm_int8":
        values = stored.numpy().astype(np.float32) * scale * np.float32(1 / 127)
        return torch.from_numpy(values).to(dtype)
    codes = stored.numpy().astype(np.int64)
    if scheme["format"].endswith("int4"):
        codes = unpack(stored, shape, scheme["format"] == "int4")
    zero = output.state[row["zero_point"]]
    zero = spread(zero, scheme, shape)
    values = (codes - zero.astype(np.int64)).astype(np.float32) * scale
    return torch.from_numpy(values).to(dtype)


def parameter_names(record):
    """The tensors that the record adds to those of the input."""
    names = set()
    for row in record["tensors"]:
        names.update(row[key] for key in ("scale", "zero_point", "global_scale")
                     if key in row)
    return names


def decode_all(output):
    """The float checkpoint that an output stands for, in its order."""
    state = dict(output.state)
    if output.record is None:
        return state
    for name in parameter_names(output.record):
        del state[name]
    for row in output.record["tensors"]:
        state[row["name"]] = decode(output, row)
    return state
