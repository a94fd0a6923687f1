"""Weights that are quantized already, which are read as the floats that they
stand for."""

import json
import os

import safetensors.torch
import torch
from torch import nn
from torch.ao.nn import quantized as nnq

from tests.interop import stock
from tests.interop.stock import linear, save

builder = stock.Family("torch")


def _per_tensor(dtype, scale=0.05, zero_point=3, *shape):
    return torch.quantize_per_tensor(torch.randn(*(shape or (6, 40))), scale,
                                     zero_point, dtype)


def _per_channel(axis, dtype=torch.qint8, shape=(6, 5, 4)):
    count = shape[axis]
    zeros = torch.arange(count) % 5 if dtype == torch.quint8 else (
        torch.zeros(count, dtype=torch.int64))
    return torch.quantize_per_channel(torch.randn(shape),
                                      torch.rand(count).double() + 0.01, zeros,
                                      axis, dtype)


# Tensors of torch.


@builder
def one_scale_a_tensor(path):
    return save(path, {
        "quint8": _per_tensor(torch.quint8), "qint8": _per_tensor(torch.qint8),
        "qint32": _per_tensor(torch.qint32, 1e-5, 0),
        "odd": _per_tensor(torch.quint8, 0.1 / 3, 200), "w": linear()})


@builder
def one_scale_a_channel(path):
    return save(path, {
        "rows": _per_channel(0), "columns": _per_channel(1),
        "last": _per_channel(2), "unsigned": _per_channel(0, torch.quint8),
        "one": _per_channel(0, shape=(1, 3))})


@builder
def float_zero_points(path):
    """Embeddings: scale and zero point are floats."""
    scales, zeros = torch.rand(6) + 0.01, torch.rand(6)
    x = torch.rand(6, 9)
    return save(path, {
        "bytes": torch.quantize_per_channel(x, scales, zeros, 0, torch.quint8),
        "nibbles": torch.quantize_per_channel(x[:, :8], scales, zeros, 0,
                                              torch.quint4x2)})


@builder
def two_bits(path):
    return save(path, {"w": _per_tensor(torch.quint2x4, 0.1, 1, 4, 8)})


@builder
def views_of_codes(path):
    base = _per_tensor(torch.qint8, 0.02, -7, 8, 10)
    return save(path, {
        "t": base.t(), "rows": base[2:5], "element": base[3, 4],
        "none": base[8:], "conv": _per_channel(0, shape=(4, 3, 2, 2))
        .contiguous(memory_format=torch.channels_last)})


@builder
def tied_codes(path):
    table = _per_channel(0, shape=(20, 8))
    return save(path, {"embed": table, "head": table})


@builder
def codes_in_a_legacy_stream(path):
    path = save(path, {"w": _per_tensor(torch.quint8), "c": _per_channel(0)},
                _use_new_zipfile_serialization=False)
    return stock.loaded(path, container="torch-legacy")


@builder
def codes_as_parameters(path):
    return save(path, {"w": nn.Parameter(_per_channel(0), requires_grad=False)})


# Modules of torch.


def _dynamic():
    return torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(12, 9), nn.ReLU(), nn.Linear(9, 4, bias=False)),
        {nn.Linear}, torch.qint8)


def _static():
    model = nn.Sequential(
        nnq.Quantize(0.1, 3, torch.quint8), nnq.Conv2d(3, 4, 3),
        nnq.Conv2d(4, 4, 3, groups=4, bias=False), nnq.Linear(5, 6),
        nnq.DeQuantize())
    model[1].set_weight_bias(_per_channel(0, shape=(4, 3, 3, 3)),
                             torch.randn(4))
    model[2].set_weight_bias(_per_tensor(torch.qint8, 0.03, 0, 4, 1, 3, 3),
                             None)
    model[3].set_weight_bias(_per_channel(0, shape=(6, 5)), torch.randn(6))
    return model.eval()


def _listed(state):
    """What is listed of weights of modules: codes and parameters, where float32
    scales and integer zero points give the same values, and else floats."""
    listed = {}
    for name, tensor in state.items():
        if tensor is None:
            continue
        tensor = tensor.detach()
        scale = zero_point = None
        if tensor.is_quantized and tensor.qscheme() == torch.per_tensor_affine:
            scale = torch.tensor(tensor.q_scale(), dtype=torch.float64)
            zero_point = torch.tensor(tensor.q_zero_point())
        elif tensor.is_quantized and (
                tensor.q_per_channel_zero_points().dtype == torch.int64):
            scale = tensor.q_per_channel_scales()
            zero_point = tensor.q_per_channel_zero_points()
            if not torch.equal(scale, scale.float().double()):
                scale = None
        if scale is None:
            listed[name] = tensor.dequantize()
        else:
            listed.update({name: tensor.int_repr(), name + ".scale": scale,
                           name + ".zero_point": zero_point})
    return listed


def _of_modules(path, model, state, **fields):
    """A Checkpoint of `model`, whose weights are `state`."""
    return stock.expecting(save(path, model.state_dict()), _listed(state),
                           **fields)


def _weight_and_bias(name, module):
    return {name + ".weight": module.weight(), name + ".bias": module.bias()}


_ACTIVATIONS = ("scales and zero points of activations in quantized modules "
                "are left out",)


@builder
def state_of_dynamic_modules(path):
    model = _dynamic()
    return _of_modules(path, model, {**_weight_and_bias("0", model[0]),
                                     **_weight_and_bias("2", model[2])},
                       noted=_ACTIVATIONS + ("'0.weight' (int8 tensor",))


@builder
def state_of_static_modules(path):
    model = _static()
    return _of_modules(path, model, {
        key: tensor for i in (1, 2, 3)
        for key, tensor in _weight_and_bias(str(i), model[i]).items()},
        noted=_ACTIVATIONS)


@builder
def state_of_half_precision_modules(path):
    model = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.Linear(12, 9)), {nn.Linear}, torch.float16)
    return _of_modules(path, model, _weight_and_bias("0", model[0]))


@builder
def state_of_recurrent_modules(path):
    """Packed by C++ classes, whose state torch tells."""
    model = torch.ao.quantization.quantize_dynamic(
        nn.Sequential(nn.LSTM(5, 6, 2, bidirectional=True), nn.GRUCell(6, 4)),
        {nn.LSTM, nn.GRUCell}, torch.qint8)
    return _of_modules(path, model, {
        "%d.%s" % (i, name): tensor for i in (0, 1)
        for name, tensor in {**model[i].get_weight(),
                             **model[i].get_bias()}.items()}, ordered=False)


@builder
def state_of_modules_in_a_legacy_stream(path):
    model = _dynamic()
    path = save(path, {"epoch": 1, "model": model.state_dict()},
                _use_new_zipfile_serialization=False)
    return stock.expecting(path, _listed({**_weight_and_bias("0", model[0]),
                                          **_weight_and_bias("2", model[2])}),
                           container="torch-legacy")


@builder
def state_of_embeddings(path):
    bag = nnq.EmbeddingBag(10, 8)
    bag.set_weight(torch.quantize_per_channel(
        torch.rand(10, 8), torch.rand(10) + 0.01, torch.rand(10), 0,
        torch.quint8))
    return _of_modules(path, nn.Sequential(bag), {"0.weight": bag.weight()})


@builder
def state_of_modules_as_stored(path):
    model = _dynamic()
    expected = {}
    for name, value in model.state_dict().items():
        if isinstance(value, tuple):
            expected.update(_listed({name + ".0": value[0],
                                     name + ".1": value[1]}))
            expected[name + ".0"] = value[0]  # QI8
        elif isinstance(value, torch.Tensor):
            expected[name] = value
    return stock.expecting(save(path, model.state_dict()), expected,
                           arguments=("--as-stored",))


# TorchScript.


def _script(path, model, tensors):
    path += ".pt"
    torch.jit.script(model.eval()).save(path)

    def load():
        state = dict(torch.jit.load(path).state_dict())
        state.update((name, t.dequantize()) for name, t in tensors.items()
                     if t is not None)
        return state

    return stock.Checkpoint(path, load, ordered=False, container="torchscript")


@builder
def scripted_static_modules(path):
    model = _static()
    tensors = {}
    for i in (1, 2):
        weight, bias = model[i]._weight_bias()
        tensors.update({"%d.weight" % i: weight, "%d.bias" % i: bias})
    weight, bias = model[3]._packed_params._weight_bias()
    tensors.update({"3._packed_params._packed_params.0": weight,
                    "3._packed_params._packed_params.1": bias})
    return _script(path, model, tensors)


@builder
def scripted_dynamic_modules(path):
    model = _dynamic()
    tensors = {}
    for i in (0, 2):
        weight, bias = model[i]._packed_params._weight_bias()
        tensors.update({"%d._packed_params._packed_params.0" % i: weight,
                        "%d._packed_params._packed_params.1" % i: bias})
    return _script(path, model, tensors)


# Eight-bit floats with scales.

_FP8 = torch.float8_e4m3fn


def _codes(*shape, dtype=_FP8):
    return torch.randn(shape).to(dtype)


def _blocks(codes, scales, size):
    spread = scales.float()
    for dim, (total, block) in enumerate(zip(codes.shape, size)):
        spread = spread.repeat_interleave(block, dim).narrow(dim, 0, total)
    return codes.float() * spread


def _save_safetensors(path, state):
    path += ".safetensors"
    safetensors.torch.save_file(state, path)
    return path


@builder
def blocks_of_fp8(path):
    """As DeepSeek has them: tiles of 128 by 128, the last ones smaller."""
    codes, scales = _codes(200, 300), torch.rand(2, 3) + 0.1
    norm = torch.ones(7)
    path = _save_safetensors(path, {
        "fc.weight": codes, "fc.weight_scale_inv": scales, "norm.weight": norm})
    return stock.expecting(
        path, {"fc.weight": _blocks(codes, scales, (128, 128)),
               "norm.weight": norm}, ordered=False, container="safetensors")


@builder
def blocks_of_a_configured_size(path):
    """The shapes would fit other sizes too; config.json says which it is."""
    os.mkdir(path)
    codes, scales = _codes(96, 80), torch.rand(3, 2) + 0.1
    with open(os.path.join(path, "config.json"), "w") as file:
        json.dump({"quantization_config": {
            "quant_method": "fp8", "weight_block_size": [40, 48]}}, file)
    file = os.path.join(path, "model.safetensors")
    safetensors.torch.save_file({"a.weight": codes, "a.weight_scale_inv":
                                 scales}, file)
    return stock.expecting(
        path, {"a.weight": _blocks(codes, scales, (40, 48))},
        container="safetensors")


@builder
def rows_of_fp8(path):
    """As compressed-tensors has them: a scale for each row, or for all."""
    rows, one = _codes(6, 9), _codes(4, 5, dtype=torch.float8_e5m2)
    scales = (torch.rand(6, 1) + 0.1).bfloat16()
    path = _save_safetensors(path, {
        "rows.weight": rows, "rows.weight_scale": scales, "one.weight": one,
        "one.weight_scale": torch.tensor(0.375), "k_scale": torch.ones(1)})
    return stock.expecting(
        path, {"rows.weight": rows.float() * scales.float(),
               "one.weight": one.float() * 0.375, "k_scale": torch.ones(1)},
        ordered=False, container="safetensors")


@builder
def fp8_in_pickles(path):
    codes, scales = _codes(256, 128), torch.rand(2, 1) + 0.1
    path = save(path, {"model": {"w.weight": codes,
                                 "w.weight_scale_inv": scales}})
    return stock.expecting(path,
                           {"w.weight": _blocks(codes, scales, (128, 128))})


@builder
def fp8_across_shards(path):
    """The scales of a weight may be in another file."""
    os.mkdir(path)
    codes, scales = _codes(130, 128), torch.rand(2, 1) + 0.1
    shards = {"model-00001-of-00002.safetensors": {"a.weight": codes},
              "model-00002-of-00002.safetensors": {
                  "a.weight_scale_inv": scales, "b.weight": torch.ones(3)}}
    for name, state in shards.items():
        safetensors.torch.save_file(state, os.path.join(path, name))
    with open(os.path.join(path, "model.safetensors.index.json"), "w") as file:
        json.dump({"weight_map": {tensor: name for name, state in shards.items()
                                  for tensor in state}}, file)
    return stock.expecting(
        path, {"a.weight": _blocks(codes, scales, (128, 128)),
               "b.weight": torch.ones(3)},
        ordered=False, container="safetensors-sharded")


@builder
def fp8_as_stored(path):
    codes, scales = _codes(256, 128), torch.rand(2, 1) + 0.1
    path = _save_safetensors(path, {"w.weight": codes,
                                    "w.weight_scale_inv": scales})
    return stock.loaded(path, arguments=("--as-stored",),
                        container="safetensors")


@builder
def fp8_without_scales(path):
    """Nothing has a scale: types like any other."""
    path = _save_safetensors(path, {"a.weight": _codes(6, 9),
                                    "b.weight": _codes(5)})
    return stock.loaded(path, container="safetensors")


@builder
def codes_as_stored(path):
    state = {"t": _per_tensor(torch.quint8), "c": _per_channel(1)}
    path = save(path, state)
    t, c = state["t"], state["c"]
    state.update({
        "t.scale": torch.tensor(t.q_scale(), dtype=torch.float64),
        "t.zero_point": torch.tensor(t.q_zero_point()),
        "c.scale": c.q_per_channel_scales(),
        "c.zero_point": c.q_per_channel_zero_points()})
    return stock.expecting(path, state, ordered=False,
                           arguments=("--as-stored",))
