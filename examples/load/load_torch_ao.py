"""Loads what `monoquant quantize MODEL.pt -o OUT.pt --to torch-ao` wrote.

usage: python3 load_torch_ao.py OUT.pt MODULE:FUNCTION

where FUNCTION of the Python module MODULE makes the model in float, as for
MODEL.pt. Needs torch.
"""

import importlib
import sys

import torch

# Keys that every quantized module has, behind its name.
MARKS = ("._packed_params.dtype", "._packed_weight_ih",
         "._all_weight_values.0.param")


def load(model, path):
    """`model` with the modules quantized that the file has quantized."""
    # Recurrent modules are kept in objects of C++ classes, which the restricted
    # unpickler has to be told of.
    with torch.serialization.safe_globals([torch.ScriptObject]):
        state = torch.load(path, weights_only=True)
    names = {key[:-len(mark)] for key in state for mark in MARKS
             if key.endswith(mark)}
    model = torch.ao.quantization.quantize_dynamic(model, names,
                                                   dtype=torch.qint8)
    model.load_state_dict(state)
    return model


if __name__ == "__main__":
    module, function = sys.argv[2].split(":")
    print(load(getattr(importlib.import_module(module), function)(),
               sys.argv[1]))
