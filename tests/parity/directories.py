"""Models in directories, and the outputs that must be the same of them
everywhere."""

import json
import os
import struct
from typing import NamedTuple

from tests.support import safetensors_file

FORMATS = ("compressed-tensors", "gptq", "awq", "fp8", "bitsandbytes",
           "torchao")
SHARDS = ("model-00001-of-00002.safetensors",
          "model-00002-of-00002.safetensors")
INDEX = "model.safetensors.index.json"
SIDE_FILES = {
    "LICENSE": bytes(range(256)) * 6000,  # more than one piece of a copy
    "config.json": json.dumps({
        "architectures": ["LlamaForCausalLM"], "torch_dtype": "bfloat16",
        "rms_norm_eps": 1e-05, "text": "\u00e9\u4e2d\n",
        "quantization_config": {"quant_method": "another"},
    }).encode(),
    "empty.txt": b"",
    "tokenizer.json": b"{}\r\n",
    # Not carried.
    ".gitattributes": b"x",
    "pytorch_model.bin": b"the same weights as a pickle",
}
KIB, MIB = 1024, 1024 * 1024


class Case(NamedTuple):
    """An output of both."""

    name: str
    input: str
    arguments: tuple  # of the command line: the command first
    request: dict  # of mq_plan
    chunk_bytes: int


def _tensor(name, rows, columns=None):
    count = rows * (columns or 1)
    # Multiples of 2^-7 from -1 to 1, as BF16.
    values = [((i * 7919) % 257 - 128) / 128 for i in range(count)]
    data = b"".join(struct.pack("<f", value)[2:] for value in values)
    shape = [rows] if columns is None else [rows, columns]
    return safetensors_file.Entry(name, "BF16", shape, data)


def _tensors():
    """In the order of the files: those of the first shard first."""
    layer = "model.layers.%d."
    first = [_tensor("model.embed_tokens.weight", 64, 128)]
    second = [_tensor("lm_head.weight", 64, 128)]
    for i, shard in enumerate((first, second)):
        shard += [
            _tensor(layer % i + "input_layernorm.weight", 128),
            _tensor(layer % i + "mlp.up_proj.weight", 256, 128),
            _tensor(layer % i + "mlp.down_proj.weight", 128, 256),
            _tensor(layer % i + "mlp.down_proj.bias", 128),
        ]
    return first, second


def _write(folder, name, data):
    with open(os.path.join(folder, name), "wb") as file:
        file.write(data)


def make_models(folder):
    """Model directories; returns {name: path}."""
    paths = {name: os.path.join(folder, name)
             for name in ("shards", "one_file", "no_config", "bad_config")}
    shards = _tensors()
    for name, path in paths.items():
        os.mkdir(path)
        if name == "shards":
            for shard, tensors in zip(SHARDS, shards):
                safetensors_file.write(os.path.join(path, shard), tensors,
                                       {"format": "pt"})
            weight_map = {tensor.name: shard for shard, tensors
                          in zip(SHARDS, shards) for tensor in tensors}
            _write(path, INDEX, json.dumps({"weight_map": weight_map}).encode())
        else:
            safetensors_file.write(os.path.join(path, "model.safetensors"),
                                   shards[0] + shards[1], {"format": "pt"})
        for side_file, data in SIDE_FILES.items():
            _write(path, side_file, data)
    os.remove(os.path.join(paths["no_config"], "config.json"))
    _write(paths["bad_config"], "config.json", b"[1]")
    return paths


def all_cases(models):
    """Everything that must be the same."""

    def quantize(name, model, to, chunk_bytes=8 * MIB, **request):
        arguments = ["quantize", "--to", to]
        if "max_shard_bytes" in request:
            arguments += ["--max-shard-size", request["max_shard_bytes"]]
        return Case(name, models[model], tuple(arguments),
                    {"format": to, **request}, chunk_bytes)

    cases = []
    for to in FORMATS:
        for chunk_bytes in (64 * KIB, 8 * MIB):
            cases.append(quantize("%s in pieces of %d" % (to, chunk_bytes),
                                  "shards", to, chunk_bytes))
        cases.append(quantize(to + " of one file", "one_file", to))
        cases.append(quantize(to + " without config", "no_config", to))
    for to in ("compressed-tensors", "gptq", "safetensors", "torch"):
        for size in (50_000, 10_000_000):
            cases.append(quantize("%s of %d bytes" % (to, size), "shards", to,
                                  max_shard_bytes=size))
    for chunk_bytes in (64 * KIB, 8 * MIB):
        cases.append(Case(
            "double quantization in pieces of %d" % chunk_bytes,
            models["shards"],
            ("quantize", "--to", "bitsandbytes", "--double-quant"),
            {"format": "bitsandbytes",
             "recipe": {"defaults": "nf4,double_quant"}}, chunk_bytes))
    # What is named is a file: it has no side files, and no config.json.
    models["file"] = os.path.join(models["one_file"], "model.safetensors")
    cases.append(quantize("of a file", "file", "compressed-tensors"))
    models["index"] = os.path.join(models["shards"], INDEX)
    cases.append(quantize("of an index", "index", "compressed-tensors"))
    return cases


def quantized_cases(models):
    """The same of directories that are quantized already."""
    small = models["small"]
    return [
        Case("again", small, ("quantize", "--to", "fp8"), {"format": "fp8"},
             8 * MIB),
        Case("converted", small, ("convert", "--to", "compressed-tensors"),
             {"mode": "convert", "format": "compressed-tensors"}, 8 * MIB),
        Case("dequantized", small,
             ("dequantize", "--to", "safetensors", "--max-shard-size", "1G"),
             {"mode": "dequantize", "format": "safetensors",
              "max_shard_bytes": 1 << 30}, 8 * MIB),
    ]


def read(folder):
    """{name: bytes} of all files of a directory."""
    files = {}
    for name in os.listdir(folder):
        with open(os.path.join(folder, name), "rb") as file:
            files[name] = file.read()
    return files
