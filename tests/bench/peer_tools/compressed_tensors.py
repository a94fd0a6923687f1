"""compressed-tensors: safe_open, for each tensor calculate_qparams and compress
(symmetric; INT4 packed into int32); results in memory, save_file."""

import torch
from compressed_tensors.compressors import (
    NaiveQuantizationCompressor,
    PackedQuantizationCompressor,
)
from compressed_tensors.quantization import (
    QuantizationArgs,
    QuantizationScheme,
)
from compressed_tensors.quantization.utils import calculate_qparams

from tests.bench.peer_tools import torch_files

make_weight = torch_files.make_weight
load_original = torch_files.load_original

_GROUP = 128


def _scheme(bits, number_format, **options):
    return QuantizationScheme(targets=["Linear"], weights=QuantizationArgs(
        num_bits=bits, type=number_format, symmetric=True, **options))


_SCHEMES = {
    "int8": (_scheme(8, "int", strategy="channel"),
             NaiveQuantizationCompressor),
    "int4 group 128": (_scheme(4, "int", strategy="group", group_size=_GROUP),
                       PackedQuantizationCompressor),
    "fp8_e4m3": (_scheme(8, "float", strategy="channel"),
                 NaiveQuantizationCompressor),
}


def quantize(weight, scheme):
    scheme, compressor = _SCHEMES[scheme]
    if scheme.weights.strategy == "group":
        low, high = torch.aminmax(weight.reshape(len(weight), -1, _GROUP),
                                  dim=2)
    else:
        low, high = torch.aminmax(weight, dim=1, keepdim=True)
    scale, zero_point = calculate_qparams(low, high, scheme.weights)
    return compressor.compress({"weight": weight, "weight_scale": scale,
                                "weight_zero_point": zero_point}, scheme)


def quantize_file(model, output, scheme):
    torch_files.save_parts(
        torch_files.quantized(model, lambda w: quantize(w, scheme)), output)


def load(output, name, scheme):
    scheme, compressor = _SCHEMES[scheme]
    parts = compressor.decompress(torch_files.load_parts(output, name), scheme)
    return parts["weight"].float().numpy()
