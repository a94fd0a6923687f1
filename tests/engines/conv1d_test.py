"""Transformers loads GPT-2 in every format, with its Conv1D layers in float.

Their weights are [inputs, outputs], those of a Linear [outputs, inputs]. What is
stored of one as if it were the other has the wrong shape, or is wrong in silence
where a weight is square. Few engines have a quantized layer for them.
"""

import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import torch
import transformers

from tests.engines.every_format import EveryFormat, WORDS, effective
from tests.support import monoquant

# With a scheme for the head, which is a Linear.
FORMS = {
    "compressed-tensors": "int8",
    "gptq": "int4,group=64",
    "awq": "int4,group=64",
    "fp8": "fp8_e4m3,block=32",
    "bitsandbytes": "nf4,group=64",
    "torchao": "int8",
}
KIND = transformers.GPT2ForTokenClassification


def outputs(model):
    tokens = torch.arange(40).reshape(2, 20) * 7 % 128
    with torch.no_grad():
        return model(tokens).logits.float()


class Conv1dTest(EveryFormat):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        torch.manual_seed(1)
        config = transformers.GPT2Config(
            vocab_size=128, n_embd=128, n_layer=2, n_head=4, n_positions=64,
            num_labels=32)
        model = KIND(config).to(torch.bfloat16)
        with torch.no_grad():
            model.classifier.weight *= torch.rand(32, 1) * 4 + 1
        cls.source = os.path.join(cls.folder, "gpt2")
        model.save_pretrained(cls.source)
        cls.original = model

    def test_every_format(self):
        for form, scheme in FORMS.items():
            with self.subTest(form=form):
                output = self.write_as(form, "--rule",
                                       "classifier.weight=" + scheme)
                model, _ = self.check_all(form, output, KIND, outputs)
                dtype = torch.float16 if form in WORDS else torch.bfloat16
                layers = 0
                for name, original in self.original.named_modules():
                    if type(original).__name__ != "Conv1D":
                        continue
                    layers += 1
                    found = model.get_submodule(name)
                    self.assertIs(type(found), type(original))
                    self.assertTrue(torch.equal(
                        found.weight, original.weight.to(dtype)), name)
                self.assertEqual(layers, 8)
                self.assertFalse(torch.equal(
                    effective(model.classifier).float(),
                    self.original.classifier.weight.float()))

    def test_a_rule_that_asks_for_one(self):
        """Square ones too."""
        for form, scheme in FORMS.items():
            for name in ("c_attn", "mlp.c_proj", "attn.c_proj"):
                with self.subTest(form=form, name=name):
                    with self.assertRaisesRegex(
                            monoquant.Failed, r"\[inputs, outputs\]"):
                        self.write_as(form, "--rule",
                                      "*.%s.weight=%s" % (name, scheme))


if __name__ == "__main__":
    unittest.main()
