"""What the stock libraries read in a checkpoint, by the names that
docs/containers.md gives its tensors.

The oracle of every test here. It shares no code with monoquant: files are
loaded by torch, safetensors and numpy, and the loaded objects are flattened.
"""

import collections
import functools
import os
import pickle
import re
import types
import zipfile
from enum import Enum
from typing import Callable, NamedTuple

import numpy as np
import safetensors.torch
import torch
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from tests.support import safetensors_file


class Checkpoint(NamedTuple):
    path: str
    # Loads it with the stock libraries: {name: tensor}, in order.
    load: Callable[[], dict]
    name: str = ""
    # False if the order of the file is not that of load().
    ordered: bool = True
    # More arguments for monoquant, as ("--root", "ema").
    arguments: tuple = ()
    # What inspect calls the container; "" for that of the family.
    container: str = ""
    # Names that inspect's notes must mention: things left out for a reason.
    noted: tuple = ()


class Family:
    """Functions that make one checkpoint each.

    A builder gets a path without an extension and returns the path that it
    wrote, for load_flat to read; or a Checkpoint. inspect must call all of them
    `container`, but those that say otherwise.
    """

    def __init__(self, container):
        self._container = container
        self._builders = {}

    def __call__(self, builder):
        self._builders[builder.__name__] = builder
        return builder

    def make_all(self, folder):
        checkpoints = []
        for name, build in self._builders.items():
            torch.manual_seed(len(checkpoints))
            made = build(os.path.join(folder, name))
            if not isinstance(made, Checkpoint):
                made = loaded(made)
            checkpoints.append(made._replace(
                name=name, container=made.container or self._container))
        return checkpoints


def loaded(path, **fields):
    """The Checkpoint at `path`, for load_flat to read."""
    return Checkpoint(path, lambda: load_flat(path), **fields)


def expecting(path, state, **fields):
    """The Checkpoint at `path`, which holds `state`."""
    return Checkpoint(path, lambda: state, **fields)


def linear(rows=48, columns=64, dtype=torch.float32):
    return torch.randn(rows, columns).to(dtype)


def save(path, value, **options):
    path += ".pt"
    torch.save(value, path, **options)
    return path


# Reading.


def load_flat(path):
    """The weights of a file of either kind."""
    if path.endswith(".safetensors"):
        return load_safetensors(path)
    return weights(load_value(path))


class _Unpickler(pickle.Unpickler):
    """Takes an empty module for each class that is not installed."""

    def find_class(self, module, name):
        try:
            return super().find_class(module, name)
        except (ImportError, AttributeError):
            return type(name, (torch.nn.Module,), {})


_PICKLE = types.SimpleNamespace(__name__="pickle", Unpickler=_Unpickler,
                                load=pickle.load)


def load_value(path):
    # Not weights_only, which refuses more than half of the files here.
    return torch.load(path, weights_only=False, map_location="cpu",
                      pickle_module=_PICKLE)


def load_safetensors(path):
    """Tensors in the order of their bytes in the file."""
    state = safetensors.torch.load_file(path)
    entries, _ = safetensors_file.read(path)
    return {entry.name: state[entry.name] for entry in entries}


@functools.lru_cache(maxsize=8)
def load_torchscript(path):
    """Kept, since torch takes seconds to tell what there is."""
    return compiled_state(torch.jit.load(path, map_location="cpu"))


def compiled_state(model):
    """All tensors in the attributes of all modules: more than state_dict()."""
    state = {}
    for module_name, module in model.named_modules(remove_duplicate=False):
        for name in _attributes(module):
            value = module._c.getattr(name)
            if isinstance(value, torch._C.ScriptModule):
                continue  # visited as a module
            full_name = module_name + "." + name if module_name else name
            state.update(flatten({full_name: value}))
    return state


def _attributes(module):
    """Names, which torch tells by printing them only."""
    text = module._c.dump_to_str(code=False, attrs=True, params=False)
    text = text[text.index("  attributes {\n"):text.index("  methods {\n")]
    # Lines of a tensor's text can look like an attribute too.
    names = re.findall(r"^    (\S+) = ", text, re.MULTILINE)
    return [name for name in dict.fromkeys(names) if module._c.hasattr(name)]


def is_torchscript(path):
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl")
                   for name in archive.namelist())


# Which of the loaded objects are the weights, and what they are called.

_ROOTS = ("state_dict", "model", "model_state_dict", "model_state", "module",
          "net", "params", "params_ema", "weights", "generator", "ema")

# What the model cannot be, whatever it is called.
_NO_ROOTS = (list, tuple, set, frozenset, torch.Tensor, np.ndarray)

_TRAINING = ("optimizer", "lr_scheduler")
_TRAINING_WORDS = ("loops", "callbacks", "rng", "amp", "rng_state", "amp_state")


def weights(value):
    """{name: tensor} of the part of a checkpoint that is the model."""
    root = _find_root(value)
    if root is value and isinstance(value, dict):
        rest = {key: item for key, item in value.items()
                if not _is_training_state(key, item)}
        return flatten(rest) or flatten(value)
    return flatten(root)


def _find_root(value):
    deep = False
    while isinstance(value, dict):
        if deep and any(isinstance(v, torch.Tensor) for v in value.values()):
            break
        for root in _ROOTS:
            item = value.get(root)
            if not isinstance(item, _NO_ROOTS) and flatten(item):
                value, deep = item, True
                break
        else:
            break
    return value


def _is_training_state(key, item):
    if isinstance(item, torch.Tensor):
        return False
    return str(key).startswith(_TRAINING) or key in _TRAINING_WORDS


def flatten(value):
    """The tensors in nested dicts, lists, modules and objects."""
    found = {}
    # Pairs still to visit, last first. A bare tensor has no name of its own.
    bare = isinstance(value, (torch.Tensor, np.ndarray))
    pending = [("tensor" if bare else "", value)]
    while pending:
        name, item = pending.pop()
        if isinstance(item, (np.ndarray, np.generic)):
            item = _from_numpy(item)
        if isinstance(item, torch.Tensor) and _is_whole(item):
            tensor = item.as_subclass(torch.Tensor)
            # What is quantized counts as the floats that it stands for.
            found[name] = tensor.dequantize() if item.is_quantized else tensor
        prefix = name + "." if name else ""
        pending += [(prefix + key, child)
                    for key, child in reversed(_children(item))]
    return found


# The parts of sparse tensors, by the names of their accessors.
_COMPONENTS = {
    torch.sparse_coo: ("_indices", "_values"),
    torch.sparse_csr: ("crow_indices", "col_indices", "values"),
    torch.sparse_csc: ("ccol_indices", "row_indices", "values"),
    torch.sparse_bsr: ("crow_indices", "col_indices", "values"),
    torch.sparse_bsc: ("ccol_indices", "row_indices", "values"),
}


def _is_whole(tensor):
    """False for tensors made of others, and for those without data."""
    return not (tensor.layout in _COMPONENTS or tensor.is_nested
                or tensor.is_meta or is_traceable_wrapper_subclass(tensor))


def _children(value):
    """Pairs of a name and what it stands for, one level down."""
    if isinstance(value, torch.nn.Module):
        return list(value.state_dict().items())
    if isinstance(value, torch.Tensor):
        return _parts(value)
    if isinstance(value, dict):
        return [(str(key), item) for key, item in value.items()
                if type(key) in (str, int)]
    if isinstance(value, (list, tuple, collections.deque)):
        return [(str(i), item) for i, item in enumerate(value)]
    if isinstance(value, torch.ScriptObject):
        return _packed(value)
    if hasattr(value, "__dict__") and not isinstance(value, (type, Enum)):
        return list(vars(value).items())
    return []


def _packed(value):
    """The state of an object of a C++ class."""
    state, _ = value.__getstate__()
    if value._type().name() == "Conv2dPackedParamsBase":
        _, (config, weight), (bias,) = state
        return [("0", weight), ("1", bias), ("config", config)]
    return [(str(i), item) for i, item in enumerate(state)]


def _parts(tensor):
    """Tensors that a tensor is made of or has as attributes."""
    if tensor.layout in _COMPONENTS:
        return [(name.lstrip("_"), getattr(tensor, name)())
                for name in _COMPONENTS[tensor.layout]]
    if tensor.is_nested and tensor.layout == torch.strided:
        return [("values", tensor.values()),
                ("sizes", tensor._nested_tensor_size()),
                ("strides", tensor._nested_tensor_strides()),
                ("offsets", tensor._nested_tensor_storage_offsets())]
    return list(vars(tensor).items())


def _from_numpy(array):
    """As a tensor; None for arrays and scalars of text and objects."""
    if array.dtype.kind not in "biufc":
        return None
    return torch.from_numpy(
        np.array(array, array.dtype.newbyteorder("="), order="C"))
