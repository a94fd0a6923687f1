"""Loads what `monoquant quantize MODEL.pt -o OUT.pt --to torch-ao` wrote.

usage: python3 load_torch_ao.py OUT.pt MODULE:FUNCTION

where FUNCTION of the Python module MODULE makes the model in float, as for
MODEL.pt. Needs torch.
"""

import importlib
import sys

import torch
from torch import nn
from torch.ao import quantization
from torch.ao.nn.quantized import dynamic
from torch.nn import functional

# Keys that every quantized module has, behind its name.
MARKS = ("._packed_params.dtype", "._packed_weight_ih",
         "._all_weight_values.0.param")


def _weight_only(quantized, convolve):
    """A class that keeps a convolution as torch's dynamic one does, and computes
    in float. torch's own, as of 2.13, rounds outputs to the scale of the inputs
    and cuts them off where these end."""

    class WeightOnly(quantized):

        def _get_name(self):
            return "WeightOnly" + quantized.__name__

        def forward(self, x):
            padding = self.padding
            if self.padding_mode != "zeros":
                # Pairs, from the last dimension to the first.
                x = functional.pad(x, [size for size in reversed(padding)
                                       for _ in range(2)], self.padding_mode)
                padding = 0
            return convolve(x, self.weight().dequantize(), self.bias(),
                            self.stride, padding, self.dilation, self.groups)

    return WeightOnly


CONVOLUTIONS = {nn.Conv1d: _weight_only(dynamic.Conv1d, functional.conv1d),
                nn.Conv2d: _weight_only(dynamic.Conv2d, functional.conv2d),
                nn.Conv3d: _weight_only(dynamic.Conv3d, functional.conv3d)}
MAPPING = {
    **quantization.get_default_dynamic_quant_module_mappings(), **CONVOLUTIONS}


def modules_of(state):
    """{name: its qconfig} of what is quantized in a state dict."""
    found = {}
    for key, value in state.items():
        for mark in MARKS:
            if key.endswith(mark):
                found[key[:-len(mark)]] = (
                    quantization.float_qparams_weight_only_qconfig
                    if value is torch.quint8 else
                    quantization.default_dynamic_qconfig)
        if isinstance(value, torch.Tensor) and value.is_quantized and (
                key.endswith(".weight")):
            found[key[:-len(".weight")]] = quantization.default_dynamic_qconfig
    return found


def load(model, path):
    """`model` with the modules quantized that the file has quantized."""
    # Recurrent modules are kept in objects of C++ classes, which the restricted
    # unpickler has to be told of.
    with torch.serialization.safe_globals([torch.ScriptObject]):
        state = torch.load(path, weights_only=True)
    model = quantization.quantize_dynamic(model, modules_of(state),
                                          mapping=MAPPING)
    model.load_state_dict(state)
    return model


if __name__ == "__main__":
    module, function = sys.argv[2].split(":")
    print(load(getattr(importlib.import_module(module), function)(),
               sys.argv[1]))
