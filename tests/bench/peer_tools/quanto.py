"""optimum-quanto: safe_open, for each tensor AbsmaxOptimizer and
quantize_weight, as QLinear.freeze does; results in memory, save_file."""

from optimum.quanto import (
    AbsmaxOptimizer,
    qfloat8_e4m3fn,
    qint8,
    quantize_weight,
)

from tests.bench.peer_tools import torch_files

make_weight = torch_files.make_weight
load_original = torch_files.load_original

_TYPES = {"int8": qint8, "fp8_e4m3": qfloat8_e4m3fn}


def quantize(weight, scheme):
    number_format = _TYPES[scheme]
    scale = AbsmaxOptimizer()(weight, qtype=number_format, axis=0)
    result = quantize_weight(weight, qtype=number_format, axis=0, scale=scale)
    return {"_data": result._data, "_scale": result._scale}


def quantize_file(model, output, scheme):
    torch_files.save_parts(
        torch_files.quantized(model, lambda w: quantize(w, scheme)), output)


def load(output, name, scheme):
    parts = torch_files.load_parts(output, name)
    return (parts["_data"].float() * parts["_scale"].float()).numpy()
