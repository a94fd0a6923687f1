"""torch.ao loads what `--to torch-ao` wrote, strictly, into quantize_dynamic's
modules.

Each module's effective weight equals monoquant's own dequantized weight, and
what torch makes itself of the model per channel, bit for bit; the structure of
the state dict is that of torch's own. Outputs are near those of the float model.
A file with another zero point, or without versions, is told from that.
"""

import os
import pickletools
import subprocess
import sys
import tempfile
import unittest
import warnings
import zipfile

from tests.support import optional

optional.require_pypi()

import torch
from torch.ao import quantization

from tests.engines import small_modules
from tests.engines.torch_ao_engine import (
    EXAMPLE, load, load_as_the_example, quantized, weights)
from tests.support import monoquant
from tests.support import real_checkpoints

# torch says that all of this will be removed.
warnings.filterwarnings("ignore")

# The error of the outputs, by their size: activations have 7 bits.
LARGEST_ERROR = 0.08

# All of small_modules.Mixed but its transposed convolution. Of the bag, nothing
# tells that it is an embedding.
EVERY_KIND = ("--layer-types", "Linear,Conv1d,Conv2d,Conv3d,Embedding",
              "--rule", "bag.weight=uint8")


def structure(value):
    """What a state dict holds, without the numbers."""
    if isinstance(value, torch.Tensor):
        scheme = (value.qscheme(), value.q_per_channel_axis()) if (
            value.is_quantized) else ()
        return (value.dtype, tuple(value.shape), *scheme)
    if isinstance(value, (list, tuple)):
        return type(value), [structure(item) for item in value]
    if isinstance(value, torch.ScriptObject):
        return value._type(), structure(value.__getstate__()[0])
    return value


def globals_of(path):
    """Classes and functions in the pickle of an archive."""
    with zipfile.ZipFile(path) as archive:
        name, = [n for n in archive.namelist() if n.endswith("/data.pkl")]
        pickle = archive.read(name)
    return {argument for opcode, argument, _ in pickletools.genops(pickle)
            if opcode.name == "GLOBAL"}


class TorchAoTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def write(self, model, *args):
        """(path of the model, path of what is quantized)"""
        source, output = self.path("model.pt"), self.path("quantized.pt")
        torch.save(model.state_dict(), source)
        monoquant.quantize(source, output, "--to", "torch-ao", *args)
        return source, output

    def floats(self, path):
        """{name: weight} as monoquant dequantizes it."""
        output = self.path("floats.pt")
        monoquant.run("dequantize", "-m", path, "-o", output, "--force")
        return torch.load(output)

    def assert_same(self, expected, found):
        self.assertEqual(expected.keys(), found.keys())
        for name in expected:
            self.assertTrue(torch.equal(expected[name], found[name]), name)

    def test_every_module(self):
        for kind in small_modules.ALL:
            with self.subTest(model=kind.__name__):
                model = small_modules.make(kind)
                source, output = self.write(model)
                engine = quantized(small_modules.make(kind))
                self.assertEqual(engine.load_state_dict(load(output)),
                                 ([], []))
                floats = self.floats(output)
                self.assertEqual(floats.keys(), model.state_dict().keys())
                codes, biases = weights(engine)
                self.assertTrue(codes)
                for name, tensor in codes.items():
                    self.assertTrue(
                        torch.equal(tensor.dequantize(), floats[name]), name)
                for name, tensor in biases.items():
                    self.assertTrue(torch.equal(tensor, floats[name]), name)
                # What is not quantized is as it was.
                for name, tensor in model.state_dict().items():
                    if name not in codes:
                        self.assertTrue(torch.equal(tensor, floats[name]), name)
                # monoquant's own storage has the same numbers.
                plain = self.path("plain.pt")
                rules = [a for n in codes for a in ("--rule", n + "=int8")]
                monoquant.quantize(source, plain, *rules)
                same = self.floats(plain)
                self.assert_same({name: same[name] for name in codes},
                                 {name: floats[name] for name in codes})

                expected = small_modules.outputs(model, kind)
                error = small_modules.outputs(engine, kind) - expected
                self.assertLess((error.norm() / expected.norm()).item(),
                                LARGEST_ERROR)

    def test_it_is_what_torch_makes_per_channel(self):
        for kind in small_modules.ALL:
            with self.subTest(model=kind.__name__):
                model = small_modules.make(kind)
                _, output = self.write(model)
                theirs = quantized(model, per_channel=True)
                torch.save(theirs.state_dict(), self.path("theirs.pt"))
                theirs, ours = load(self.path("theirs.pt")), load(output)
                self.assertEqual(theirs.keys(), ours.keys())
                for key in theirs:
                    self.assertEqual(structure(theirs[key]),
                                     structure(ours[key]), key)
                for path, version in ours._metadata.items():
                    self.assertEqual(theirs._metadata[path], version, path)
                # torch's biases are still parameters, which makes no difference.
                self.assertEqual(globals_of(self.path("theirs.pt")) -
                                 {"torch._utils _rebuild_parameter"},
                                 globals_of(output))
                # And the numbers.
                modules = [quantized(small_modules.make(kind)) for _ in range(2)]
                modules[0].load_state_dict(theirs)
                modules[1].load_state_dict(ours)
                for a, b in zip(weights(modules[0]), weights(modules[1])):
                    self.assert_same(
                        {n: t.dequantize() for n, t in a.items()},
                        {n: t.dequantize() for n, t in b.items()})

    def test_convolutions_and_embeddings(self):
        model = small_modules.make(small_modules.Mixed)
        _, output = self.write(model, *EVERY_KIND)
        # The restricted unpickler needs to be told of nothing.
        state = torch.load(output, weights_only=True)
        engine = quantized(small_modules.make(small_modules.Mixed),
                           every_kind=True)
        self.assertEqual(engine.load_state_dict(state), ([], []))
        floats = self.floats(output)
        self.assertEqual(floats.keys(), model.state_dict().keys())
        codes, biases = weights(engine)
        self.assertCountEqual(codes, [
            name + ".weight"
            for name in ("embed", "bag", "one", "two", "three", "out")])
        for name, tensor in codes.items():
            self.assertTrue(torch.equal(tensor.dequantize(), floats[name]), name)
        for name, tensor in biases.items():
            self.assertTrue(torch.equal(tensor, floats[name]), name)
        for name, tensor in model.state_dict().items():
            if name not in codes:
                self.assertTrue(torch.equal(tensor, floats[name]), name)
        # What is looked up is the weight, bit for bit.
        self.assertTrue(torch.equal(engine.embed(torch.arange(20)),
                                    floats["embed.weight"]))
        self.assertTrue(torch.equal(
            engine.bag(torch.arange(20), torch.arange(20)),
            floats["bag.weight"]))
        # torch's own state dict has the same structure; and the same numbers,
        # but in embeddings, of which it has zero points that are no numbers of
        # codes.
        theirs = quantized(small_modules.make(small_modules.Mixed),
                           per_channel=True, every_kind=True)
        torch.save(theirs.state_dict(), self.path("theirs.pt"))
        saved = load(self.path("theirs.pt"))
        self.assertEqual(saved.keys(), state.keys())
        for key in saved:
            self.assertEqual(structure(saved[key]), structure(state[key]), key)
        self.assertEqual(saved._metadata, {
            **saved._metadata, **state._metadata})
        self.assertEqual(globals_of(self.path("theirs.pt")) -
                         {"torch._utils _rebuild_parameter"},
                         globals_of(output))
        for name, tensor in weights(theirs)[0].items():
            if tensor.dtype == torch.qint8:
                self.assertTrue(torch.equal(tensor.dequantize(), floats[name]),
                                name)
        expected = small_modules.outputs(model, small_modules.Mixed)
        engine = load_as_the_example(
            small_modules.make(small_modules.Mixed), output)
        error = small_modules.outputs(engine, small_modules.Mixed) - expected
        self.assertLess((error.norm() / expected.norm()).item(), LARGEST_ERROR)

    def test_convolutions_and_embeddings_are_read_back(self):
        # Other containers and another storage hold the same, and lead back. In
        # another storage nothing tells of the bag what it is.
        for args, middle in (
                (EVERY_KIND, ("q.safetensors",)),
                (EVERY_KIND[:2] + ("--skip", "bag.weight"),
                 ("plain.safetensors", "--to", "safetensors"))):
            model = small_modules.make(small_modules.Mixed)
            source, output = self.write(model, "--verify", "all", *args)
            report = monoquant.run_json("compare", source, output)
            self.assertFalse(report["missing"] or report["extra"])
            other, again = self.path(middle[0]), self.path("again.pt")
            monoquant.run("convert", "-m", output, "-o", other, "--force",
                          *middle[1:])
            floats = self.floats(output)
            self.assert_same(floats, self.floats(other))
            monoquant.run("convert", "-m", other, "-o", again, "--force", "--to",
                          "torch-ao")
            self.assert_same(floats, self.floats(again))
            engine = load_as_the_example(model, again)
            codes, _ = weights(engine)
            self.assertEqual("bag.weight" in codes, "--skip" not in args)
            for name in ("embed", "one", "two", "three", "out"):
                name += ".weight"
                self.assertTrue(torch.equal(codes[name].dequantize(),
                                            floats[name]), name)

    def test_convolutions_of_torch_in_another_form(self):
        """One that torch quantized becomes one of `--to torch-ao`."""
        theirs = quantized(small_modules.make(small_modules.Mixed),
                           per_channel=True, every_kind=True)
        source, output = self.path("theirs.pt"), self.path("again.pt")
        state = {key: value for key, value in theirs.state_dict().items()
                 if not key.startswith(("embed", "bag"))}
        torch.save(state, source)
        monoquant.run("convert", "-m", source, "-o", output, "--force", "--to",
                      "torch-ao")
        found = load(output)
        self.assertEqual(found.keys(), state.keys())
        for name in ("one", "two", "three"):
            key = name + ".weight"
            self.assertTrue(torch.equal(found[key].int_repr(),
                                        state[key].int_repr()))
            self.assertEqual(structure(found[key]), structure(state[key]))

    def test_linear_layers_load_as_they_are(self):
        """The restricted unpickler needs to be told of nothing."""
        _, output = self.write(small_modules.make(small_modules.Layers))
        for options in ({}, {"mmap": True}):
            engine = quantized(small_modules.make(small_modules.Layers))
            engine.load_state_dict(
                torch.load(output, weights_only=True, **options))

    def test_halves(self):
        """Biases become float32 in packed modules."""
        for dtype in (torch.float16, torch.bfloat16):
            model = small_modules.make(small_modules.Classifier).to(dtype)
            _, output = self.write(model)
            engine = quantized(small_modules.make(small_modules.Classifier))
            engine.load_state_dict(load(output))
            codes, biases = weights(engine)
            floats = self.floats(output)
            for name, tensor in codes.items():
                self.assertTrue(torch.equal(
                    tensor.dequantize().to(dtype), floats[name]), name)
            for name, tensor in biases.items():
                self.assertEqual(floats[name].dtype, torch.float32)
                self.assertTrue(torch.equal(
                    tensor, model.state_dict()[name].float()), name)
                self.assertTrue(torch.equal(tensor, floats[name]), name)

    def test_it_is_read_back(self):
        for kind in small_modules.ALL:
            with self.subTest(model=kind.__name__):
                source, output = self.write(small_modules.make(kind), "--verify",
                                            "all")
                report = monoquant.run_json("compare", source, output)
                self.assertIn("tensors", report)
                names = {t["name"] for t in
                         monoquant.run_json("inspect", output)["tensors"]}
                self.assertEqual(
                    {name for name in names if not name.endswith(
                        (".weight.scale", ".zero_point")) and not
                     "weight_" in name.split(".")[-2]},
                    small_modules.make(kind).state_dict().keys())
                # Other containers hold the same, and lead back.
                other, again = self.path("q.safetensors"), self.path("again.pt")
                monoquant.run("convert", "-m", output, "-o", other, "--force")
                monoquant.run("convert", "-m", other, "-o", again, "--force",
                              "--to", "torch-ao")
                self.assert_same(self.floats(output), self.floats(again))
                engine = quantized(small_modules.make(kind))
                engine.load_state_dict(load(again))

    def test_a_module_that_is_left_out(self):
        """The names in the file say which modules to quantize."""
        model = small_modules.make(small_modules.Classifier)
        _, output = self.write(model, "--skip", "out.weight")
        engine = quantization.quantize_dynamic(model, {"lstm"}, torch.qint8)
        engine.load_state_dict(load(output))

    def test_a_published_lstm(self):
        source, = [path for path in real_checkpoints.from_packages()
                   if "resemblyzer" in path]
        state = torch.load(source, weights_only=True,
                           map_location="cpu")["model_state"]
        model = small_modules.VoiceEncoder().eval()
        model.load_state_dict(state)
        output = self.path("voice.pt")
        monoquant.quantize(source, output, "--to", "torch-ao", "--root",
                           "model_state")
        engine = quantized(small_modules.VoiceEncoder())
        engine.load_state_dict(load(output))
        floats = self.floats(output)
        for name, tensor in weights(engine)[0].items():
            self.assertTrue(torch.equal(tensor.dequantize(), floats[name]), name)
        expected = small_modules.outputs(model, small_modules.VoiceEncoder)
        found = small_modules.outputs(engine, small_modules.VoiceEncoder)
        # Of two embeddings of length 1, their cosine.
        self.assertGreater((expected * found).sum(1).min().item(), 0.99)

    def test_another_zero_point_is_told(self):
        _, output = self.write(small_modules.make(small_modules.Layers))
        floats = self.floats(output)
        state = load(output)
        key = "first._packed_params._packed_params"
        codes, bias = state[key]
        zeros = codes.q_per_channel_zero_points() + 1
        state[key] = (torch._make_per_channel_quantized_tensor(
            codes.int_repr(), codes.q_per_channel_scales(), zeros, 0), bias)
        engine = quantized(small_modules.make(small_modules.Layers))
        engine.load_state_dict(state)
        found = weights(engine)[0]["first.weight"].dequantize()
        self.assertFalse(torch.equal(found, floats["first.weight"]))

    def test_missing_versions_are_told(self):
        _, output = self.write(small_modules.make(small_modules.Layers))
        state = load(output)
        state._metadata["first._packed_params"]["version"] = 2
        engine = quantized(small_modules.make(small_modules.Layers))
        with self.assertRaises(KeyError):
            engine.load_state_dict(state)
        del state._metadata
        with self.assertRaises(KeyError):
            engine.load_state_dict(state)

    def test_errors(self):
        model = small_modules.make(small_modules.Layers)
        cases = (
            (("-b", "4", "--rule", "first.weight=int4"), "use int8"),
            (("--rule", "first.weight=int8,asymmetric"), "use symmetric"),
            (("--rule", "conv.weight=int8,axis=1"), "each index of axis 0"),
            (("--max-shard-size", "1M"), "is always one file"),
        )
        for args, message in cases:
            with self.assertRaises(monoquant.Failed) as failed:
                self.write(model, *args)
            self.assertIn(message, failed.exception.message)

        mixed = small_modules.make(small_modules.Mixed)
        for args, message in (
                (("--rule", "up.weight=int8"), "a transposed convolution"),
                (("--rule", "embed.weight=int8"), "use uint8"),
                (("--rule", "out.weight=uint8"), "use int8")):
            with self.assertRaises(monoquant.Failed) as failed:
                self.write(mixed, *args)
            self.assertIn(message, failed.exception.message)

    def test_the_example(self):
        for kind, args, expected in (
                (small_modules.Classifier, (),
                 ("DynamicQuantizedLSTM", "DynamicQuantizedLinear",
                  "(embed): Embedding")),
                (small_modules.Mixed, EVERY_KIND,
                 ("WeightOnlyConv1d", "WeightOnlyConv2d", "WeightOnlyConv3d",
                  "(up): ConvTranspose2d", "(embed): QuantizedEmbedding(",
                  "(bag): QuantizedEmbeddingBag"))):
            _, output = self.write(small_modules.make(kind), *args)
            text = subprocess.run(
                [sys.executable, EXAMPLE, output,
                 "tests.engines.small_modules:" + kind.__name__],
                check=True, stdout=subprocess.PIPE, encoding="utf-8",
                env={**os.environ,
                     "PYTHONPATH": os.pathsep.join(sys.path)}).stdout
            for name in expected:
                self.assertIn(name, text)


if __name__ == "__main__":
    unittest.main()
