"""Weights that others trained, as float tensors of two or more dimensions."""

import safetensors
import torch

from tests.support import real_checkpoints

# A few of MiniLM's hundred: attention, both halves of the network, positions.
_OF_MINILM = [
    "embeddings.position_embeddings.weight",
    "encoder.layer.0.attention.self.query.weight",
    "encoder.layer.3.intermediate.dense.weight",
    "encoder.layer.5.output.dense.weight",
]


def _read(path):
    if not path.endswith(".safetensors"):
        return torch.load(path, weights_only=True, map_location="cpu")
    with safetensors.safe_open(path, "pt") as file:
        names = _OF_MINILM if "minilm" in path else list(file.keys())
        return {name: file.get_tensor(name) for name in names}


def load():
    """Returns {"FILE: NAME": tensor}."""
    paths = real_checkpoints.from_packages()
    language_model = real_checkpoints.checkpoint("tinystoriesgru.pt")
    if language_model:
        paths.append(language_model)
    else:
        print(real_checkpoints.ABSENT)
    found = {}
    for path in paths:
        for name, tensor in _read(path).items():
            if tensor.is_floating_point() and tensor.dim() >= 2:
                found["%s: %s" % (path.split("/")[-1], name)] = tensor
    return found
