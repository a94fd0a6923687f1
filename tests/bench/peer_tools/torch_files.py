"""How the tools that work on torch tensors read and write files here."""

import os

import torch
from safetensors import safe_open
from safetensors.torch import save_file

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def make_weight(dtype, rows, columns):
    """A matrix of normally distributed weights; `dtype` as in safetensors."""
    torch.manual_seed(1)
    dtype = {"BF16": torch.bfloat16, "F32": torch.float32}[dtype]
    return (torch.randn(rows, columns) * 0.02).to(dtype)


def quantized(model, quantize):
    """{name: quantize(tensor)}; safetensors maps the file, so a tensor is read
    where it is used."""
    with safe_open(model, framework="pt") as file:
        return {name: quantize(file.get_tensor(name)) for name in file.keys()}


def save_parts(results, output):
    """Saves {name: {part: tensor}} as NAME.PART in one safetensors file."""
    save_file({"%s.%s" % (name, part): tensor
               for name, parts in results.items()
               for part, tensor in parts.items()}, output)


def load_parts(output, name):
    """{part: tensor} of what save_parts saved under `name`."""
    prefix = name + "."
    with safe_open(output, framework="pt") as file:
        return {key[len(prefix):]: file.get_tensor(key)
                for key in file.keys() if key.startswith(prefix)}


def load_original(model, name):
    with safe_open(model, framework="pt") as file:
        return file.get_tensor(name).float().numpy()
