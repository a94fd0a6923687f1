"""torch alone: safe_open, for each tensor plain operations (largest magnitude
of a row, divide, round, cast); results in memory, safetensors' save_file."""

import torch

from tests.bench.peer_tools import torch_files

make_weight = torch_files.make_weight
load_original = torch_files.load_original


def quantize(weight, scheme):
    weight = weight.float()
    low, high = torch.aminmax(weight, dim=1, keepdim=True)
    largest = torch.maximum(-low, high)
    if scheme == "fp8_e4m3":
        scale = (largest / 448).clamp_(min=1e-12)
        codes = (weight / scale).to(torch.float8_e4m3fn)
    else:
        scale = (largest / 127).clamp_(min=1e-12)
        codes = (weight / scale).round_().to(torch.int8)
    return {"codes": codes, "scale": scale}


def quantize_file(model, output, scheme):
    torch_files.save_parts(
        torch_files.quantized(model, lambda w: quantize(w, scheme)), output)


def load(output, name, scheme):
    parts = torch_files.load_parts(output, name)
    return (parts["codes"].float() * parts["scale"]).numpy()
