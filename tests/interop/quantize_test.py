"""Quantized files are what the stock libraries think they are.

For every checkpoint, INT8, asymmetric INT4, FP8, NF4, LLM.int8, MXFP4, NVFP4 and
FP16, and every output format: torch.load(weights_only=True) and safetensors read the
output; tensors in are tensors out, in their order, ties kept, unquantized ones byte
for byte; the codes, decoded in Python as docs/formats.md says, are close to the input
and equal what `monoquant dequantize` writes bit for bit; and .mqir turns into the
others without loss.
"""

import filecmp
import os
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import numpy as np
import safetensors.torch
import torch

from tests.interop import decode, published, tensor_bytes, torch_checkpoints
from tests.support import monoquant

EXTENSIONS = {"torch": ".pt", "safetensors": ".safetensors", "mqir": ".mqir"}

SCHEMES = (["--bits", 8], ["--bits", 4, "--scheme", "asymmetric"],
           ["--bits", 16], ["--type", "fp8_e4m3"], ["--type", "nf4"],
           ["--type", "llm_int8"],
           ["--type", "fp4_e2m1", "--scale-dtype", "e8m0"],
           ["--type", "nvfp4"])

# Formats that cannot hold some of a checkpoint's types, and say so.
CANNOT_HOLD = {
    ("complex_without_safetensors", "safetensors"),
    ("bit_containers", "safetensors"),
}

# What does not come back from .mqir by way of a torch file: text metadata.
ONE_WAY = {"safetensors_of_every_type", "model.safetensors"}  # MiniLM

# Half a unit in the last place, relative.
ROUNDING = {torch.float16: 2.0**-11, torch.bfloat16: 2.0**-8,
            torch.float32: 2.0**-23, torch.float64: 2.0**-23}


def key(tensor):
    """Equal for tensors of equal dtype, shape and bytes."""
    return (tensor.dtype, tuple(tensor.shape),
            tensor_bytes.raw(tensor).tobytes())


def ties(state):
    """Which names share one tensor: {name: first name with the same data}."""
    first = {}
    return {
        name: first.setdefault(
            (t.data_ptr(), t.shape, t.stride(), t.dtype, t.is_conj(),
             t.is_neg()), name)
        for name, t in state.items() if t.numel()}


class QuantizeTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def path(self, name):
        return os.path.join(self.folder, name)

    def check_names(self, output, state, checkpoint, to):
        """Tensors in = tensors out, and nothing else."""
        added = decode.parameter_names(output.record)
        names = [name for name in output.state if name not in added]
        self.assertEqual(len(names) + len(added), len(output.state))
        if to == "safetensors" or not checkpoint.ordered:
            # The order of safetensors is that of the widths.
            self.assertEqual(set(names), set(state))
        else:
            self.assertEqual(names, list(state))
        self.assertFalse(added & set(state))

    def check_values(self, output, state):
        quantized = {row["name"]: row for row in output.record["tensors"]}
        for name, tensor in state.items():
            if name not in quantized:
                self.assertEqual(key(output.state[name]), key(tensor), name)
                continue
            row = quantized[name]
            decoded = decode.decode(output, row).double()
            exact = tensor.double()
            if "scale" in row:
                scale = decode.scales(output, row)
                step = torch.from_numpy(scale.astype(np.float64))
                if row["scheme"]["format"] == "fp8_e4m3":
                    # A unit of 4 bits, or of the subnormal codes.
                    step = (exact.abs() / 8).maximum(step * 2.0**-9)
                elif row["scheme"]["format"] == "llm_int8":
                    step = step / 127
                elif row["scheme"]["format"] == "nf4":
                    # The largest distance in its table, at the lower end.
                    step = step * (1 - 0.6961928)
                elif row["scheme"]["format"] == "fp4_e2m1":
                    # A unit of 2 bits, or of the subnormal codes. What a power
                    # of two leaves beyond 6 is nearer to it than that.
                    step = (exact.abs() / 2).maximum(step / 2)
                # Half a step, and what the float types round off.
                bound = (step * 0.5001
                         + exact.abs() * ROUNDING[tensor.dtype])
                if "global_scale" in row:
                    # Scales of few bits may be too small for a value.
                    beyond = exact.abs() - 5.999 * torch.from_numpy(
                        scale.astype(np.float64))
                    bound = bound.maximum(beyond)
            else:
                # Half a unit of fp16's 11 bits, or of its subnormals.
                bound = (exact.abs() * 2.0**-11).clamp(min=2.0**-25)
            error = (decoded - exact).abs()
            self.assertTrue(bool((error <= bound).all()),
                            "%s: error %g" % (name, error.max()))

    def check_dequantized(self, quantized, output):
        """`dequantize` gives what Python gives, as plain checkpoints."""
        expected = decode.decode_all(output)
        for extension in (".pt", ".safetensors"):
            path = self.path("float" + extension)
            try:
                monoquant.run("dequantize", quantized, "-o", path, "--force")
            except monoquant.Failed as failure:
                self.assertEqual((failure.exit_code, extension),
                                 (3, ".safetensors"))
                continue
            plain = decode.load(path)
            self.assertIsNone(plain.record)
            self.assertEqual(set(plain.state), set(expected))
            # safetensors orders tensors by the width of their types.
            if ".safetensors" not in (extension, quantized[-12:]):
                self.assertEqual(list(plain.state), list(expected))
            for name, tensor in plain.state.items():
                self.assertEqual(key(tensor), key(expected[name]), name)

    def check_conversions(self, checkpoint, scheme, quantized):
        """From .mqir to torch and back; returns the torch file."""
        converted, direct, back = map(
            self.path, ("converted.pt", "direct.pt", "back.mqir"))
        monoquant.run("convert", quantized, "-o", converted, "--force")
        monoquant.quantize(checkpoint.path, direct, *scheme)
        self.assertTrue(filecmp.cmp(converted, direct, shallow=False))
        monoquant.run("convert", converted, "-o", back, "--force")
        self.assertEqual(filecmp.cmp(quantized, back, shallow=False),
                         checkpoint.name not in ONE_WAY)
        return converted

    def check(self, checkpoint, scheme, to):
        state = checkpoint.load()
        quantized = self.path("quantized" + EXTENSIONS[to])
        try:
            monoquant.quantize(checkpoint.path, quantized, *scheme)
        except monoquant.Failed as failure:
            self.assertEqual(failure.exit_code, 3, failure.message)
            self.assertIn((checkpoint.name, to), CANNOT_HOLD)
            return
        self.assertNotIn((checkpoint.name, to), CANNOT_HOLD)
        readable = quantized
        if to == "mqir":
            readable = self.check_conversions(checkpoint, scheme, quantized)
        output = decode.load(readable)
        self.check_names(output, state, checkpoint, to)
        if to != "safetensors":
            tied = ties(output.state)
            self.assertEqual({name: tied[name] for name in ties(state)},
                             ties(state))
        self.check_values(output, state)
        self.check_dequantized(quantized, output)

    def check_all(self, to):
        made = torch_checkpoints.make_all(self.folder)
        for checkpoint in made + published.find(small=True):
            for scheme in SCHEMES:
                with self.subTest(checkpoint.name, scheme=scheme):
                    self.check(checkpoint, scheme, to)

    def test_to_torch(self):
        self.check_all("torch")

    def test_to_safetensors(self):
        self.check_all("safetensors")

    def test_to_mqir(self):
        self.check_all("mqir")

    def test_memory_map(self):
        """torch can map a torch output instead of reading it."""
        path = torch_checkpoints.plain_dict(self.path("plain"))
        output = self.path("quantized.pt")
        monoquant.quantize(path, output, *SCHEMES[0])
        read = torch.load(output, weights_only=True)
        mapped = torch.load(output, weights_only=True, mmap=True)
        self.assertEqual([key(t) for t in mapped.values()],
                         [key(t) for t in read.values()])

    def test_tied_parameters_load_into_a_module(self):
        """As safetensors' own load_model wants them."""
        torch.manual_seed(0)
        module = torch.nn.ModuleDict({
            "embed": torch.nn.Embedding(50, 40),
            "body": torch.nn.Linear(40, 40),
            "head": torch.nn.Linear(40, 50, bias=False)})
        module["head"].weight = module["embed"].weight
        state = {name: t.clone() for name, t in module.state_dict().items()}
        model, output = self.path("tied.pt"), self.path("tied.safetensors")
        torch.save(module.state_dict(), model)
        monoquant.run("convert", model, "-o", output)
        for tensor in module.parameters():
            tensor.data.zero_()
        safetensors.torch.load_model(module, output)
        for name, tensor in module.state_dict().items():
            self.assertEqual(key(tensor), key(state[name]), name)

    def test_minilm(self):
        """A whole BERT, where the file is at hand."""
        for checkpoint in published.find(small=False):
            for scheme, to in zip(SCHEMES, ("torch", "safetensors", "mqir")):
                with self.subTest(checkpoint.name, scheme=scheme):
                    self.check(checkpoint, scheme, to)


if __name__ == "__main__":
    unittest.main()
