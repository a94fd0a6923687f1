"""Transformers loads all-MiniLM-L6-v2 and its relatives in every format.

MiniLM is a BERT of real weights, whose file has the names of the model without a
head. Its relatives have random weights, one head each, and output layers that are
the embedding or go by another name than those of Llama.
"""

import os
import pathlib
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import torch
import transformers

from tests.engines.every_format import EveryFormat, effective
from tests.support import real_checkpoints

FORMS = {
    "compressed-tensors": ["--bits", 4, "-g", 64],
    "gptq": ["--bits", 4, "-g", 64],
    "awq": ["--bits", 4, "-g", 64],
    "fp8": [],
    "bitsandbytes": [],
    "torchao": [],
}

_SMALL = dict(vocab_size=128, hidden_size=128, intermediate_size=256,
              num_hidden_layers=2, num_attention_heads=4,
              max_position_embeddings=64)

# Their output layers in Transformers, and in the file.
RELATIVES = {
    # cls.predictions.decoder, none
    "BERT": (transformers.BertForMaskedLM, transformers.BertConfig(**_SMALL)),
    # lm_head.decoder, none; lm_head.dense is a layer
    "RoBERTa": (transformers.RobertaForMaskedLM,
                transformers.RobertaConfig(**_SMALL)),
    # vocab_projector, its bias
    "DistilBERT": (transformers.DistilBertForMaskedLM,
                   transformers.DistilBertConfig(
                       vocab_size=128, dim=128, hidden_dim=256, n_layers=2,
                       n_heads=4, max_position_embeddings=64)),
    # classifier, the same
    "classifier": (transformers.BertForSequenceClassification,
                   transformers.BertConfig(**_SMALL, num_labels=32)),
    # lm_head, embed_out
    "GPT-NeoX": (transformers.GPTNeoXForCausalLM,
                 transformers.GPTNeoXConfig(**_SMALL)),
}


def outputs(model):
    tokens = torch.arange(40).reshape(2, 20) * 7 % 128
    with torch.no_grad():
        return model(tokens)[0].float()


class MiniLmTest(EveryFormat):

    DTYPE = torch.float32

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        (path,) = [path for path in real_checkpoints.from_packages()
                   if "minilm" in path]
        cls.source = str(pathlib.Path(path).parent)

    def test_minilm(self):
        original = transformers.AutoModel.from_pretrained(self.source)
        for form, args in FORMS.items():
            with self.subTest(form=form):
                output = self.write_as(form, *args)
                model, _ = self.check_all(form, output, transformers.AutoModel,
                                          outputs)
                # In the blocks, and behind them.
                for name in ("encoder.layer.5.output.dense", "pooler.dense"):
                    self.assertFalse(torch.equal(
                        effective(model.get_submodule(name)).float(),
                        original.get_submodule(name).weight), name)

    def test_layers_that_are_left_out(self):
        """One of them has a name that other layers' names end with."""
        for form, args in FORMS.items():
            with self.subTest(form=form):
                output = self.write_as(
                    form, *args, "--skip", "*.1.attention.output.dense.weight",
                    "--skip", "pooler.*")
                self.check_all(form, output, transformers.AutoModel, outputs)


class RelativesTest(EveryFormat):

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.sources = {}
        for name, (kind, config) in RELATIVES.items():
            torch.manual_seed(1)
            model = kind(config).to(torch.bfloat16)
            with torch.no_grad():
                for parameter in model.parameters():
                    if parameter.dim() == 2:
                        parameter *= torch.rand(parameter.shape[0], 1) * 4 + 1
            cls.sources[name] = os.path.join(cls.folder, "source of " + name)
            model.save_pretrained(cls.sources[name])

    def check(self, name, form):
        output = self.write_as(form, *FORMS[form], source=self.sources[name])
        # Four bits of weights that are random: some outputs are close to 0.
        self.check_all(form, output, RELATIVES[name][0], outputs,
                       self.sources[name], 0.99)

    def test_heads(self):
        for name in RELATIVES:
            for form in FORMS:
                if (name, form) == ("GPT-NeoX", "awq"):
                    continue  # test_awq_scales_activations_of_some_models
                with self.subTest(model=name, form=form):
                    self.check(name, form)

    def test_without_the_head(self):
        """The names in the file begin with one that the modules do not have. But
        torchao's parameters are found by their names in the file alone."""
        kind = transformers.DistilBertModel
        source = self.sources["DistilBERT"]
        for form in FORMS:
            if form == "torchao":
                continue
            with self.subTest(form=form):
                output = self.write_as(form, *FORMS[form], source=source)
                model, info = self.load_as(form, output, kind)
                self.assertNotIn("missing_keys", info)
                twin = self.twin(form, output, kind, source)
                if form == "compressed-tensors":
                    outputs(model)
                self.assertLess(self.worst_of_all(model, twin), 0.005)

    def test_awq_scales_activations_of_some_models(self):
        """As nothing but AWQ's own quantizer makes files for. Should this change,
        so do the documents."""
        output = self.write_as("awq", *FORMS["awq"],
                               source=self.sources["GPT-NeoX"])
        _, info = self.load_as("awq", output, transformers.GPTNeoXForCausalLM)
        self.assertIn("gpt_neox.layers.0.mlp.act.scales", info["missing_keys"])


if __name__ == "__main__":
    unittest.main()
