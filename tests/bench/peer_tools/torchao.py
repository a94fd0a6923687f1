"""torchao: safe_open, each tensor as a bare nn.Linear through quantize_ with
Int8WeightOnlyConfig or Float8WeightOnlyConfig, torch.save of all results."""

import torch
from torchao.quantization import (
    Float8WeightOnlyConfig,
    Int8WeightOnlyConfig,
    quantize_,
)

from tests.bench.peer_tools import torch_files

make_weight = torch_files.make_weight
load_original = torch_files.load_original

_CONFIGS = {"int8": Int8WeightOnlyConfig, "fp8_e4m3": Float8WeightOnlyConfig}


def quantize(weight, scheme):
    rows, columns = weight.shape
    linear = torch.nn.Linear(columns, rows, bias=False, device="meta")
    linear.weight = torch.nn.Parameter(weight, requires_grad=False)
    quantize_(linear, _CONFIGS[scheme]())
    return linear.weight


def quantize_file(model, output, scheme):
    torch.save(torch_files.quantized(model, lambda w: quantize(w, scheme)),
               output)


def load(output, name, scheme):
    state = torch.load(output, weights_only=False)
    return state[name].dequantize().float().numpy()
