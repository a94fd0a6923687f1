"""Checkpoints that are quantized already are read as the floats they stand for.

torch's own quantized tensors equal dequantize() bit for bit, also where they
are packed into the parameters of quantized modules (of state dicts
tests/engines/foreign_torch_ao_test.py has more); FP8 weights with scales
equal the products that torch computes in float32. What cannot be right is
refused.
"""

import json
import os
import tempfile
import unittest
import warnings

from tests.support import optional

optional.require_pypi()

import torch

import safetensors.torch
import torch.ao.nn.quantized as nnq
import torch.ao.quantization

from tests.interop import tensor_bytes
from tests.support import monoquant, real_checkpoints

# That these types are deprecated is why files of them must stay readable.
warnings.simplefilter("ignore")

QINT8, QUINT8, QINT32 = torch.qint8, torch.quint8, torch.qint32
PACKED = (torch.quint4x2, torch.quint2x4)
LIMITS = {QINT8: (-128, 128), QUINT8: (0, 256), QINT32: (-5000, 5000)}


def per_channel(x, axis, dtype):
    size = x.shape[axis]
    return torch.quantize_per_channel(
        x, (torch.rand(size) * 0.1 + 0.001).double(),
        torch.randint(*LIMITS[dtype], (size,)), axis, dtype)


def float_params(x, axis, dtype):
    """What embeddings use: zero points that are floats."""
    size = x.shape[axis]
    return torch.quantize_per_channel(
        x, torch.rand(size) * 0.1 + 0.001, torch.randn(size) * 20, axis, dtype)


def name_of(dtype):
    return str(dtype).replace("torch.", "")


def flatten(state):
    """The tensors of a state dict; of packed parameters by position."""
    tensors = {}
    for name, value in state.items():
        if isinstance(value, tuple):
            tensors.update(("%s.%d" % (name, i), part)
                           for i, part in enumerate(value) if part is not None)
        elif isinstance(value, torch.Tensor):
            tensors[name] = value
    return tensors


class Case(unittest.TestCase):

    def setUp(self):
        torch.manual_seed(7)
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def check(self, path, tensors):
        """What is in the file at `path` are the values of `tensors`."""
        document = monoquant.run_json("inspect", path, "--hash")
        found = {row["name"]: row for row in document["tensors"]}
        self.assertEqual(sorted(found), sorted(tensors))
        for name, tensor in tensors.items():
            if tensor.is_quantized:
                tensor = tensor.dequantize()
            expected = tensor_bytes.describe(name, tensor.detach())
            row = {key: found[name][key] for key in expected}
            self.assertEqual(row, expected, name)

    def check_saved(self, state, **options):
        """The same for a file that torch.save makes; returns its path."""
        path = self.path("m.pt")
        torch.save(state, path, **options)
        self.check(path, flatten(state))
        return path


class TorchTensorsTest(Case):

    def test_per_tensor(self):
        x = torch.randn(6, 5, 4, 3) * 3
        state = {}
        for dtype in LIMITS:
            scale = 3.3e-9 if dtype == QINT32 else 0.0371234
            t = torch.quantize_per_tensor(x, scale, 3, dtype)
            state.update({
                "plain." + name_of(dtype): t,
                "permuted." + name_of(dtype): t.permute(3, 1, 0, 2),
                "narrowed." + name_of(dtype): t[1:, ::2],
                "channels_last." + name_of(dtype):
                    t.contiguous(memory_format=torch.channels_last),
                "scalar." + name_of(dtype):
                    torch.quantize_per_tensor(torch.tensor(1.0), 0.1, 0, dtype),
                "empty." + name_of(dtype): torch.quantize_per_tensor(
                    torch.empty(0, 3), 0.1, 0, dtype)})
        document = monoquant.run_json("inspect", self.check_saved(state))
        self.assertIn("quantized by torch, read as the F32 values",
                      " ".join(document["notes"]))
        self.check_saved(state, _use_new_zipfile_serialization=False)

    def test_per_channel(self):
        x = torch.randn(6, 5, 4, 3)
        state = {"%s.%d" % (name_of(dtype), axis): per_channel(x, axis, dtype)
                 for dtype in LIMITS for axis in range(4)}
        state["channels_last"] = state["qint8.0"].contiguous(
            memory_format=torch.channels_last)
        self.check_saved(state)
        self.check_saved(state, _use_new_zipfile_serialization=False)

    def test_float_parameters(self):
        x = torch.randn(6, 5, 4)
        self.check_saved({
            "%s.%d" % (name_of(dtype), axis): float_params(x, axis, dtype)
            for dtype in (QINT8, QUINT8) for axis in range(3)})

    def test_packed_types(self):
        state = {}
        for dtype in PACKED:
            for shape in ((6, 21), (6, 20), (3, 7), (2, 3, 5), (1,), (5, 1)):
                x = torch.randn(shape)
                key = "%s.%s" % (name_of(dtype), "x".join(map(str, shape)))
                state[key] = torch.quantize_per_tensor(x, 0.3, 1, dtype)
                state.update(
                    ("%s.%d" % (key, axis), float_params(x, axis, dtype))
                    for axis in range(len(shape)))
        self.check_saved(state)

    def test_more_than_one_piece(self):
        """Tensors that are read in pieces, with many parameters."""
        self.check_saved({
            "rows": per_channel(torch.randn(1501, 1200), 0, QINT8),
            "columns": per_channel(torch.randn(300, 9001), 1, QINT8),
            "turned": torch.quantize_per_tensor(
                torch.randn(1200, 1501), 0.1, 3, QUINT8).t(),
            "packed": float_params(torch.randn(999, 3001), 0, torch.quint4x2)})

    def test_ties(self):
        t = torch.quantize_per_tensor(torch.randn(4, 6), 0.1, 0, QINT8)
        document = monoquant.run_json(
            "inspect", self.check_saved({"a": t, "b": t}))
        self.assertEqual(document["tensors"][1]["tie"], "a")

    def test_parameters_that_do_not_fit(self):
        t = per_channel(torch.randn(4, 6), 0, QINT8)

        class Lying:
            def __init__(self, axis):
                self.axis = axis

            def __reduce__(self):
                function, arguments = t.__reduce_ex__(2)
                arguments = list(arguments)
                arguments[4] = arguments[4][:3] + (self.axis,)
                return function, tuple(arguments)

        for axis, reason in ((1, "but its scales are [4]"), (2, "axis 2"),
                             (-1, "axis -1")):
            path = self.path("lying.pt")
            torch.save({"w": Lying(axis)}, path)
            with self.assertRaises(monoquant.Failed) as failed:
                monoquant.run("inspect", path)
            self.assertEqual(failed.exception.exit_code, 6)
            self.assertIn("'w'", failed.exception.message)
            self.assertIn(reason, failed.exception.message)


class ModulesTest(Case):

    def dynamic(self):
        return torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(torch.nn.Linear(6, 4), torch.nn.ReLU(),
                                torch.nn.Linear(4, 3, bias=False)),
            {torch.nn.Linear}, dtype=QINT8)

    def check_floats(self, model, tensors):
        """What `dequantize` makes of a state dict are the values of `tensors`,
        but None."""
        path, floats = self.path("m.pt"), self.path("floats.safetensors")
        torch.save(model.state_dict(), path)
        monoquant.run("dequantize", "-m", path, "-o", floats, "--force")
        self.check(floats, {name: tensor for name, tensor in tensors.items()
                            if tensor is not None})

    def test_dynamic_state_dict(self):
        model = self.dynamic()
        self.check_floats(model, {
            "0.weight": model[0].weight(), "0.bias": model[0].bias(),
            "2.weight": model[2].weight()})

    def test_dynamic_lstm(self):
        model = torch.ao.quantization.quantize_dynamic(
            torch.nn.Sequential(torch.nn.LSTM(6, 4)), {torch.nn.LSTM},
            dtype=QINT8)
        state = model[0]._all_weight_values[0].param.__getstate__()[0]
        expected = {}
        for i, packed in zip(("ih", "hh"), state[4]):
            weight, bias = packed.__getstate__()[0]
            expected["0.weight_%s_l0" % i] = weight
            expected["0.bias_%s_l0" % i] = bias
        # The biases are in the file twice, and equal.
        self.assertTrue(torch.equal(state[1][0], expected["0.bias_ih_l0"]))
        self.assertTrue(torch.equal(state[1][1], expected["0.bias_hh_l0"]))
        self.check_floats(model, expected)

    def test_static_state_dicts(self):
        modules = torch.nn.ModuleDict({
            "linear": nnq.Linear(6, 4), "conv1d": nnq.Conv1d(2, 4, 3),
            "conv2d": nnq.Conv2d(2, 4, 3), "conv3d": nnq.Conv3d(2, 4, 3),
            "transposed": nnq.ConvTranspose2d(2, 4, 3),
            "embedding": nnq.Embedding(10, 12)})
        expected = {"embedding.weight": modules.embedding.weight()}
        for name, module in modules.items():
            if name != "embedding":
                expected[name + ".weight"] = module.weight()
                expected[name + ".bias"] = module.bias()
        self.check_floats(modules, expected)

    def scripted(self, module):
        path = self.path("scripted.pt")
        torch.jit.save(torch.jit.script(module), path)
        return path

    def test_scripted_linear(self):
        """The names are the paths in the file."""
        model = self.dynamic()
        tensors = flatten(model.state_dict())
        self.check(self.scripted(model),
                   {name: tensor for name, tensor in tensors.items()
                    if "_packed_params._packed_params." in name})

    def test_scripted_convolutions(self):
        for module in (nnq.Conv1d(2, 4, 3), nnq.Conv2d(2, 4, 3),
                       nnq.Conv3d(2, 4, 3), nnq.ConvTranspose2d(2, 4, 3)):
            weight = torch.quantize_per_tensor(
                torch.randn(module.weight().shape), 0.03, 0, QINT8)
            module.set_weight_bias(weight, torch.randn(4))
            self.check(self.scripted(module),
                       {"weight": module.weight(), "bias": module.bias()})

    def test_packed_objects(self):
        weight = per_channel(torch.randn(4, 2, 3, 3), 0, QINT8)
        bias = torch.randn(4)

        class Model(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.packed = torch.ops.quantized.conv2d_prepack(
                    weight, bias, [1, 1], [0, 0], [1, 1], 1)

            def forward(self, x):
                return torch.ops.quantized.conv2d(x, self.packed, 1.0, 0)

        path = self.scripted(Model())
        document = monoquant.run_json("inspect", path)
        # Strides and padding are kept as they are.
        config = document["tensors"][-1]
        self.assertEqual((config["name"], config["dtype"]),
                         ("packed.config", "I16"))
        copy = self.path("copy.safetensors")
        monoquant.run("convert", path, "-o", copy)
        state = safetensors.torch.load_file(copy)
        self.assertTrue(torch.equal(state["packed.0"], weight.dequantize()))
        self.assertTrue(torch.equal(state["packed.1"], bias))

    def test_embeddings(self):
        embedding = nnq.Embedding(10, 12)
        embedding.set_weight(float_params(torch.randn(10, 12), 0, QUINT8))
        self.check(self.scripted(embedding),
                   {"_packed_params._packed_weight.0": embedding.weight()})

    def test_published(self):
        path = real_checkpoints.checkpoint("torchscript_mobilenet_quantized.pt")
        if path is None:
            print(real_checkpoints.ABSENT)
            self.skipTest("no checkpoints")
        rows = monoquant.run_json("inspect", path)["tensors"]
        weights = [row for row in rows if row["name"].endswith(".0")]
        biases = [row for row in rows if row["name"].endswith(".1")]
        self.assertEqual((len(weights), len(biases), len(rows)), (53, 53, 158))
        self.assertEqual({row["dtype"] for row in weights + biases}, {"F32"})


def scale_of(rows, columns, block=128):
    return torch.rand((rows + block - 1) // block,
                      (columns + block - 1) // block) * 0.01


def expand(scale, shape, block=128):
    scale = scale.float().repeat_interleave(block, 0)
    return scale.repeat_interleave(block, 1)[:shape[0], :shape[1]]


class Float8Test(Case):

    def save(self, tensors, name="model.safetensors"):
        path = self.path(name)
        safetensors.torch.save_file(tensors, path)
        return path

    def weight(self, *shape, dtype=torch.float8_e4m3fn):
        return (torch.randn(shape) * 20).to(dtype)

    def test_blocks(self):
        """As DeepSeek-V3 is published, with sizes that blocks do not divide."""
        stored, expected = {}, {"norm.weight": torch.randn(300)}
        stored.update(expected)
        for i, (shape, dtype) in enumerate((
                ((300, 200), torch.float32), ((128, 384), torch.bfloat16),
                ((1, 1000), torch.float16), ((1000, 1), torch.float32))):
            name = "layers.%d.weight" % i
            stored[name] = self.weight(*shape)
            scale = stored[name + "_scale_inv"] = scale_of(*shape).to(dtype)
            expected[name] = stored[name].float() * expand(scale, shape)
        path = self.save(stored)
        self.check(path, expected)
        self.assertIn("read as F32 (4)",
                      " ".join(monoquant.run_json("inspect", path)["notes"]))

    def test_block_size_of_the_configuration(self):
        weight, scale = self.weight(96, 192), scale_of(96, 192, 48)
        tensors = {"a.weight": weight, "a.weight_scale_inv": scale}
        self.save(tensors)
        with open(self.path("config.json"), "w") as file:
            json.dump({"quantization_config": {
                "quant_method": "fp8", "weight_block_size": [48, 48]}}, file)
        self.check(self.folder, {
            "a.weight": weight.float() * expand(scale, weight.shape, 48)})

    def test_tensors_and_channels(self):
        """As compressed-tensors saves float-quantized models."""
        stored = {"a.weight": self.weight(30, 20),
                  "a.weight_scale": torch.tensor(0.03),
                  "b.weight": self.weight(30, 20),
                  "b.weight_scale": torch.tensor([0.07]).bfloat16(),
                  "c.weight": self.weight(30, 20, dtype=torch.float8_e5m2),
                  "c.weight_scale": torch.rand(30, 1),
                  "d.weight": self.weight(30, 20),
                  "d.weight_scale": torch.rand(30),
                  "a.input_scale": torch.tensor([0.5]),
                  "kv.k_scale": torch.tensor(0.25)}
        expected = {name: tensor for name, tensor in stored.items()
                    if not name.endswith(("weight", "weight_scale"))}
        for name in "abcd":
            scale = stored[name + ".weight_scale"].float()
            expected[name + ".weight"] = (
                stored[name + ".weight"].float() *
                (scale[:, None] if scale.shape == (30,) else scale))
        self.check(self.save(stored), expected)
        # The same in a container of torch's.
        path = self.path("m.pt")
        torch.save(stored, path)
        self.check(path, expected)

    def test_every_code(self):
        codes = torch.arange(256, dtype=torch.uint8)
        stored, expected = {}, {}
        for dtype in (torch.float8_e4m3fn, torch.float8_e5m2,
                      torch.float8_e4m3fnuz, torch.float8_e5m2fnuz):
            name = name_of(dtype)
            stored[name] = codes.clone().view(dtype)
            stored[name + "_scale"] = torch.tensor(0.37)
            expected[name] = stored[name].float() * stored[name + "_scale"]
        self.check(self.save(stored), expected)

    def test_shards(self):
        """A weight and its scales may lie in different files."""
        weight, scale = self.weight(300, 200), scale_of(300, 200)
        for extension, save in (("safetensors", safetensors.torch.save_file),
                                ("bin", torch.save)):
            files = {"w." + extension: {"a.weight": weight},
                     "s." + extension: {"a.weight_scale_inv": scale}}
            for name, tensors in files.items():
                save(tensors, self.path(name))
            index = self.path("model.%s.index.json" % extension)
            with open(index, "w") as file:
                json.dump({"metadata": {}, "weight_map": {
                    tensor: name for name, tensors in files.items()
                    for tensor in tensors}}, file)
            self.check(index, {
                "a.weight": weight.float() * expand(scale, weight.shape)})

    def test_to_four_bits(self):
        """FP8 to INT4 without a file in between."""
        weight, scale = self.weight(300, 256), scale_of(300, 256)
        path = self.save({"a.weight": weight, "a.weight_scale_inv": scale})
        floats = self.save({"a.weight": weight.float() *
                            expand(scale, weight.shape)}, "floats.safetensors")
        outputs = []
        for source in (path, floats):
            output = self.path("int4.safetensors")
            monoquant.quantize(source, output, "--bits", "4",
                               "--group-size", "128")
            outputs.append(safetensors.torch.load_file(output))
        self.assertEqual(sorted(outputs[0]), sorted(outputs[1]))
        self.assertIn("a.weight.scale", outputs[0])
        for name, tensor in outputs[0].items():
            self.assertTrue(torch.equal(tensor, outputs[1][name]), name)
        plan = monoquant.run_json("plan", path, "--bits", "4")
        self.assertEqual([(row["name"], row["dtype"], row["action"])
                          for row in plan["tensors"]],
                         [("a.weight", "F32", "quantize")])

    def test_halves_of_pairs(self):
        whole = {"a.weight": self.weight(30, 20),
                 "a.weight_scale_inv": torch.rand(1, 1)}
        weight = {"b.weight": self.weight(30, 20)}
        scale = {"b.weight_scale_inv": torch.rand(1, 1)}
        for tensors, named in (
                (scale, ("'b.weight_scale_inv'", "'b.weight'")),
                ({**whole, **scale}, ("'b.weight_scale_inv'", "'b.weight'")),
                ({**whole, **weight}, ("'b.weight'", "'b.weight_scale_inv'")),
                ({**whole, "a.weight_scale_inv": torch.rand(7, 7)},
                 ("'a.weight'", "'a.weight_scale_inv'"))):
            with self.assertRaises(monoquant.Failed) as failed:
                monoquant.run("inspect", self.save(tensors))
            self.assertEqual(failed.exception.exit_code, 6)
            for name in named:
                self.assertIn(name, failed.exception.message)
        # Where nothing has scales, none is missing.
        self.check(self.save(weight), weight)


if __name__ == "__main__":
    unittest.main()
