"""bitsandbytes: safe_open, for each tensor int8_vectorwise_quant (LLM.int8, of
float16) or quantize_4bit (NF4, blocks of 64); results in memory, save_file."""

import torch
from bitsandbytes import functional

from tests.bench.peer_tools import torch_files

make_weight = torch_files.make_weight
load_original = torch_files.load_original


def quantize(weight, scheme):
    if scheme == "nf4":
        codes, state = functional.quantize_4bit(weight, blocksize=64,
                                                quant_type="nf4")
        return {"codes": codes, **state.as_dict(packed=True)}
    codes, scale, _ = functional.int8_vectorwise_quant(weight.half())
    return {"codes": codes, "scale": scale}


def quantize_file(model, output, scheme):
    torch_files.save_parts(
        torch_files.quantized(model, lambda w: quantize(w, scheme)), output)


def load(output, name, scheme):
    parts = torch_files.load_parts(output, name)
    codes = parts.pop("codes")
    if scheme == "nf4":
        state = functional.QuantState.from_dict(parts, torch.device("cpu"))
        return functional.dequantize_4bit(codes, state).float().numpy()
    return functional.int8_vectorwise_dequant(codes, parts["scale"]).numpy()
