"""torch's side of `--to torch-ao`: models as quantize_dynamic makes them, and what
they hold."""

import torch
from torch import nn
from torch.ao import quantization
from torch.ao.nn.quantized import dynamic

MODULES = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}


def quantized(model, per_channel=False):
    if not per_channel:
        return quantization.quantize_dynamic(model, MODULES, torch.qint8)
    return quantization.quantize_dynamic(model, dict.fromkeys(
        MODULES, quantization.per_channel_dynamic_qconfig))


def load(path):
    """Recurrent modules are objects of C++ classes."""
    with torch.serialization.safe_globals([torch.ScriptObject]):
        return torch.load(path, weights_only=True)


def weights(model):
    """{name: qint8 tensor} and {name: bias} of all quantized modules, by the
    names of the float model."""
    codes, biases = {}, {}
    for path, module in model.named_modules():
        if isinstance(module, dynamic.Linear):
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
