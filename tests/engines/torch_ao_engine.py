"""torch's side of `--to torch-ao`: models as quantize_dynamic makes them, and what
they hold."""

import importlib.util
import pathlib

import torch
from torch import nn
from torch.ao import quantization
from torch.ao.nn import quantized as static
from torch.ao.nn.quantized import dynamic

MODULES = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
# What torch leaves in float unless it is asked for.
CONVOLUTIONS = {nn.Conv1d: dynamic.Conv1d, nn.Conv2d: dynamic.Conv2d,
                nn.Conv3d: dynamic.Conv3d}
EMBEDDINGS = {nn.Embedding, nn.EmbeddingBag}

EXAMPLE = (pathlib.Path(__file__).absolute().parents[2] /
           "examples/load/load_torch_ao.py")


def quantized(model, per_channel=False, every_kind=False):
    """With the modules that quantize_dynamic quantizes by itself, or with
    convolutions and embeddings too."""
    if not per_channel and not every_kind:
        return quantization.quantize_dynamic(model, MODULES, torch.qint8)
    qconfig = (quantization.per_channel_dynamic_qconfig if per_channel else
               quantization.default_dynamic_qconfig)
    qconfigs = dict.fromkeys(MODULES, qconfig)
    mapping = quantization.get_default_dynamic_quant_module_mappings()
    if every_kind:
        qconfigs.update(dict.fromkeys(CONVOLUTIONS, qconfig))
        qconfigs.update(dict.fromkeys(
            EMBEDDINGS, quantization.float_qparams_weight_only_qconfig))
        mapping = {**mapping, **CONVOLUTIONS}
    return quantization.quantize_dynamic(model, qconfigs, mapping=mapping)


def load(path):
    """Recurrent modules are objects of C++ classes."""
    with torch.serialization.safe_globals([torch.ScriptObject]):
        return torch.load(path, weights_only=True)


def load_as_the_example(model, path):
    """The float `model` quantized as the file is, by the code that users are
    given."""
    spec = importlib.util.spec_from_file_location(EXAMPLE.stem, EXAMPLE)
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    return example.load(model, path)


def weights(model):
    """{name: quantized tensor} and {name: bias} of all quantized modules, by the
    names of the float model. They last no longer than `model`: torch's
    embeddings give out their own memory."""
    codes, biases = {}, {}
    for path, module in model.named_modules():
        if isinstance(module, static.Embedding):
            codes[path + ".weight"] = module.weight()
        elif isinstance(module, (dynamic.Linear, *CONVOLUTIONS.values())):
            codes[path + ".weight"] = module.weight()
            if module.bias() is not None:
                biases[path + ".bias"] = module.bias()
        elif isinstance(module, (dynamic.LSTM, dynamic.GRU, dynamic.LSTMCell,
                                 dynamic.GRUCell, dynamic.RNNCell)):
            for parts, found in ((codes, module.get_weight()),
                                 (biases, module.get_bias())):
                parts.update((path + "." + name, tensor)
                             for name, tensor in found.items())
    return codes, biases
