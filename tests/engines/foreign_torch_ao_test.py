"""monoquant reads state dicts of models that torch.ao.quantization quantized.

torch quantizes small models and saves what `state_dict()` gives. What
`dequantize` makes of each weight equals torch's own dequantize(), bit for bit,
and the float model loads all of it, strictly. Codes are kept where they go into
other formats.
"""

import os
import tempfile
import unittest
import warnings

from tests.support import optional

optional.require_pypi()

import safetensors.torch
import torch
from torch import nn
from torch.ao import quantization
from torch.ao.nn import quantized
from torch.ao.nn.quantized import dynamic
from torch.ao.quantization import quantize_fx

from tests.engines import small_modules
from tests.support import monoquant

# torch says that all of this will be removed.
warnings.filterwarnings("ignore")

MODULES = {nn.Linear, nn.LSTM, nn.GRU, nn.LSTMCell, nn.GRUCell, nn.RNNCell}
RECURRENT = (dynamic.LSTM, dynamic.GRU, dynamic.LSTMCell, dynamic.GRUCell,
             dynamic.RNNCell)
LAYERS = (quantized.Linear, quantized.Conv1d, quantized.Conv2d,
          quantized.Conv3d, quantized.ConvTranspose1d,
          quantized.ConvTranspose2d)

PER_CHANNEL = dict.fromkeys(MODULES, quantization.per_channel_dynamic_qconfig)


class Static(nn.Module):
    """Convolutions, with a bias and without, fused with a ReLU or not, modules
    with the scale of their outputs only, and a layer that stays in float."""

    def __init__(self):
        super().__init__()
        self.quant = quantization.QuantStub()
        self.one = nn.Conv1d(2, 6, 3, bias=False)
        self.two = nn.Conv2d(1, 4, 3, groups=1)
        self.relu = nn.ReLU()
        self.grouped = nn.Conv2d(4, 8, 2, groups=2)
        self.up = nn.ConvTranspose2d(8, 3, 2)
        self.norm = nn.LayerNorm(14)
        self.add = quantized.FloatFunctional()
        self.three = nn.Conv3d(1, 2, (1, 2, 2))
        self.fc = nn.Linear(15, 7)
        self.dequant = quantization.DeQuantStub()
        self.last = nn.Linear(7, 2)

    def forward(self, x):
        x = self.quant(x)
        x = self.relu(self.two(self.one(x).unsqueeze(1)))
        x = self.norm(self.up(self.grouped(x)))
        x = self.add.add(x, x)
        x = self.three(x.unsqueeze(1)).flatten(2)[:, :, :15]
        return self.last(self.dequant(self.fc(x)))

    inputs = (5, 2, 18)


class Tokens(nn.Module):

    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(30, 12)
        self.bag = nn.EmbeddingBag(20, 8, mode="sum")
        self.fc = nn.Linear(12, 3)


class Graph(nn.Module):

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.fc = nn.Linear(4, 2)

    def forward(self, x):
        return self.fc(self.conv(x).relu().mean((2, 3)))

    inputs = (2, 3, 8, 8)


def make(kind):
    """One whose rows differ, as those of trained weights do."""
    torch.manual_seed(1)
    model = kind().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() >= 2:
                rows = (parameter.shape[0],) + (1,) * (parameter.dim() - 1)
                parameter *= torch.rand(rows) + 0.2
    return model


def static(qconfig):
    """The float model, and what torch made of it."""
    model = make(Static)
    other = make(Static)
    other.qconfig = qconfig
    other.last.qconfig = None
    # Of transposed convolutions torch has one scale only.
    other.up.qconfig = quantization.default_qconfig
    other = quantization.fuse_modules(other, [["two", "relu"]])
    quantization.prepare(other, inplace=True)
    other(torch.randn(Static.inputs))
    return model, quantization.convert(other)


def floats(original, model):
    """{name: tensor}: what the quantized `model` computes with, under the names
    of the float model `original`."""
    state = original.state_dict()
    for path, module in model.named_modules():
        found = {}
        if isinstance(module, RECURRENT):
            found = {**module.get_weight(), **module.get_bias()}
        elif isinstance(module, LAYERS):
            found = {"weight": module.weight(), "bias": module.bias()}
        elif isinstance(module, quantized.Embedding):
            found = {"weight": module.weight()}
        for name, tensor in found.items():
            if tensor is not None:
                state[path + "." + name] = tensor.dequantize().detach()
    return state


def dynamic_models():
    """(name, float model, what torch made of it, whether per channel)"""
    for kind in small_modules.ALL:
        for schemes in (MODULES, PER_CHANNEL):
            original = small_modules.make(kind)
            yield kind.__name__, original, quantization.quantize_dynamic(
                original, schemes, torch.qint8), schemes is PER_CHANNEL


class ForeignTorchAoTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def save(self, model, **options):
        path = self.path("theirs.pt")
        state = model if isinstance(model, dict) else model.state_dict()
        torch.save(state, path, **options)
        return path

    def read(self, path, command="dequantize"):
        output = self.path("floats.pt")
        monoquant.run(command, "-m", path, "-o", output, "--force")
        return torch.load(output)

    def check(self, found, expected):
        self.assertEqual(found.keys(), expected.keys())
        for name, tensor in expected.items():
            self.assertEqual(found[name].dtype, tensor.dtype, name)
            self.assertTrue(torch.equal(found[name], tensor), name)

    def check_model(self, original, model):
        """Returns the path of the file."""
        path = self.save(model)
        found = self.read(path)
        self.check(found, floats(original, model))
        original.load_state_dict(found, strict=True)
        return path

    def names(self, path, *args):
        document = monoquant.run_json("inspect", path, *args)
        return {row["name"]: row["dtype"] for row in document["tensors"]}

    def notes(self, path):
        return "\n".join(monoquant.run_json("inspect", path)["notes"])

    def test_dynamic(self):
        for name, original, model, per_channel in dynamic_models():
            with self.subTest(model=name, per_channel=per_channel):
                path = self.check_model(original, model)
                self.assertIn("(int8 axis 0 symmetric)" if per_channel else
                              "(int8 tensor symmetric)", self.notes(path))

    def test_static(self):
        for name, qconfig in (
                ("per channel", quantization.get_default_qconfig("x86")),
                ("per tensor", quantization.default_qconfig)):
            with self.subTest(name):
                original, model = static(qconfig)
                path = self.check_model(original, model)
                notes = self.notes(path)
                self.assertIn("activations in quantized modules are left out: "
                              "'quant.scale', 'quant.zero_point'", notes)
                self.assertIn("'one.weight' (int8", notes)

    def test_graphs(self):
        """Models that torch.fx quantized have more scales."""
        original = make(Graph)
        inputs = torch.randn(Graph.inputs)
        prepared = quantize_fx.prepare_fx(
            make(Graph), quantization.get_default_qconfig_mapping("x86"),
            inputs)
        prepared(inputs)
        model = quantize_fx.convert_fx(prepared)
        self.assertIn("conv_input_scale_0", model.state_dict())
        self.check_model(original, model)

    def test_embeddings(self):
        for qconfig, dtype in (
                (quantization.float_qparams_weight_only_qconfig, torch.quint8),
                (quantization.float_qparams_weight_only_qconfig_4bit,
                 torch.quint4x2)):
            original = make(Tokens)
            model = quantization.quantize_dynamic(make(Tokens), {
                nn.Embedding: qconfig, nn.EmbeddingBag: qconfig,
                nn.Linear: quantization.default_dynamic_qconfig})
            self.assertEqual(model.embed.weight().dtype, dtype)
            path = self.check_model(original, model)
            # Zero points that are floats have no place in a record.
            self.assertEqual(self.names(path), {
                "embed.weight": "F32", "bag.weight": "F32", "fc.weight": "I8",
                "fc.weight.scale": "F64", "fc.weight.zero_point": "I64",
                "fc.bias": "F32"})

    def test_half_precision_is_floats(self):
        for kind in small_modules.ALL:
            with self.subTest(model=kind.__name__):
                original = small_modules.make(kind)
                model = quantization.quantize_dynamic(original, MODULES,
                                                      torch.float16)
                found = self.read(self.save(model), "convert")
                self.check(found, floats(original, model))
                original.load_state_dict(found, strict=True)

    def test_tensors_of_every_kind(self):
        """Parameters that torch's observers do not make, in its containers."""
        conv = quantized.Conv2d(3, 5, 2)
        state = conv.state_dict()
        x = torch.randn(5, 3, 2, 2)
        scales = (torch.rand(3) * 0.1 + 0.001).double()
        odd = torch.rand(3, dtype=torch.float64) * 0.1 + 0.001
        self.assertFalse(torch.equal(odd, odd.float().double()))
        cases = {
            "unsigned": torch.quantize_per_tensor(x, 0.0371234, 3,
                                                  torch.quint8),
            "asymmetric": torch.quantize_per_tensor(x, 0.1 / 3, -7,
                                                    torch.qint8),
            "axis": torch.quantize_per_channel(
                x, scales, torch.tensor([0, 250, 7]), 1, torch.quint8),
            "signed axis": torch.quantize_per_channel(
                x, scales, torch.tensor([0, 5, -128]), 1, torch.qint8),
            "no floats": torch.quantize_per_channel(
                x, odd, torch.tensor([0, 5, -7]), 1, torch.qint8),
            "float parameters": torch.quantize_per_channel(
                x, scales.float(), torch.randn(3), 1, torch.quint8),
            "wide": torch.quantize_per_tensor(x, 3.3e-9, 3, torch.qint32),
            "channels last": torch.quantize_per_tensor(
                x, 0.03, 0, torch.qint8).contiguous(
                    memory_format=torch.channels_last),
        }
        in_record = {"unsigned", "asymmetric", "axis", "signed axis",
                     "channels last"}
        for name, tensor in cases.items():
            for options in ({}, {"_use_new_zipfile_serialization": False}):
                with self.subTest(name, **options):
                    state["weight"] = tensor
                    path = self.save(dict(state), **options)
                    recorded = name in in_record
                    self.assertEqual(self.names(path)["weight"] != "F32",
                                     recorded)
                    found = self.read(
                        path, "dequantize" if recorded else "convert")
                    self.check(found, {"weight": tensor.dequantize(),
                                       "bias": state["bias"].detach()})

    def test_directions_of_recurrent_modules(self):
        for layers, both in ((1, False), (1, True), (2, False), (2, True),
                             (3, False), (3, True), (4, True)):
            for kind in (nn.LSTM, nn.GRU):
                original = nn.Sequential(kind(6, 5, layers, bidirectional=both))
                self.check_model(original, quantization.quantize_dynamic(
                    original, {kind}, torch.qint8))
        # Of one shape: which it is, nothing tells.
        original = nn.Sequential(nn.GRU(6, 6, 2))
        path = self.check_model(original, quantization.quantize_dynamic(
            original, {nn.GRU}, torch.qint8))
        self.assertIn("read as layers: '0'", self.notes(path))

    def test_outermost_module(self):
        model = quantized.Linear(6, 4)
        weight = torch.quantize_per_tensor(torch.randn(4, 6), 0.03, 0,
                                           torch.qint8)
        model.set_weight_bias(weight, torch.randn(4))
        self.check(self.read(self.save(model)),
                   {"weight": weight.dequantize(), "bias": model.bias()})

    def test_roots(self):
        original, model = static(quantization.default_qconfig)
        path = self.save({"model": model.state_dict(), "epoch": 3})
        self.check(self.read(path), floats(original, model))

    def test_as_stored(self):
        _, model = static(quantization.default_qconfig)
        path = self.save(model)
        stored = self.names(path, "--as-stored")
        self.assertEqual(stored["fc._packed_params._packed_params.0"], "QI8")
        self.assertEqual(stored["quant.scale"], "F32")
        self.assertEqual(stored["one.weight.scale"], "F64")

    def test_codes_are_kept(self):
        """Other containers and formats get the same numbers."""
        for name, original, model, per_channel in dynamic_models():
            with self.subTest(model=name, per_channel=per_channel):
                self.check_conversions(original, model, per_channel)

    def check_conversions(self, original, model, per_channel):
        path, expected = self.save(model), floats(original, model)
        for args in (["codes.safetensors"], ["codes.pt"], ["codes.mqir"],
                     ["plain.safetensors", "--to", "safetensors"],
                     ["plain.pt", "--to", "torch"]):
            output = self.path(args[0])
            monoquant.run("convert", "-m", path, "-o", output, "--force",
                          *args[1:])
            self.check(self.read(output), expected)
        again = self.path("again.pt")
        args = ("convert", "-m", path, "-o", again, "--force", "--to",
                "torch-ao")
        if not per_channel:
            with self.assertRaises(monoquant.Failed) as failed:
                monoquant.run(*args)
            self.assertIn("a scale for each index of axis 0",
                          failed.exception.message)
            return
        # Back into the modules that it is from.
        monoquant.run(*args)
        self.check(floats(original, self.loaded(original, again)), expected)

    def loaded(self, original, path):
        """torch's quantized model with the weights at `path`."""
        with torch.serialization.safe_globals([torch.ScriptObject]):
            state = torch.load(path, weights_only=True)
        engine = quantization.quantize_dynamic(original, MODULES, torch.qint8)
        engine.load_state_dict(state)
        return engine

    def test_codes_of_a_layer(self):
        _, model = static(quantization.get_default_qconfig("x86"))
        output = self.path("codes.safetensors")
        monoquant.run("convert", "-m", self.save(model), "-o", output,
                      "--force")
        tensors = safetensors.torch.load_file(output)
        weight = model.grouped.weight()
        self.assertTrue(torch.equal(tensors["grouped.weight"],
                                    weight.int_repr()))
        self.assertTrue(torch.equal(tensors["grouped.weight.scale"],
                                    weight.q_per_channel_scales()))

    def test_other_commands(self):
        for name, original, model, per_channel in dynamic_models():
            with self.subTest(model=name, per_channel=per_channel):
                path, source = self.save(model), self.path("original.pt")
                torch.save(original.state_dict(), source)
                report = monoquant.run_json("compare", source, path,
                                            "--fail-under", "25")
                self.assertFalse(report["missing"] or report["extra"])
                output = self.path("quantized.pt")
                monoquant.quantize(path, output, "--to", "torch-ao")
                self.check(floats(original, self.loaded(original, output)),
                           self.read(output))

    def test_damaged_parameters_are_told(self):
        weight = torch.quantize_per_channel(
            torch.randn(4, 6), torch.rand(4).double(), torch.zeros(4).long(), 0,
            torch.qint8)

        class Lying:
            def __init__(self, axis):
                self.axis = axis

            def __reduce__(self):
                function, arguments = weight.__reduce_ex__(2)
                arguments = list(arguments)
                arguments[4] = arguments[4][:3] + (self.axis,)
                return function, tuple(arguments)

        for axis in (1, 2, -1):
            path = self.save({
                "fc.scale": torch.tensor(1.0), "fc.zero_point": torch.tensor(0),
                "fc._packed_params._packed_params": (Lying(axis), None)})
            with self.assertRaises(monoquant.Failed) as failed:
                monoquant.run("inspect", path)
            self.assertEqual(failed.exception.exit_code, 6)
            self.assertIn("'fc.weight'", failed.exception.message)


if __name__ == "__main__":
    unittest.main(warnings="ignore")
