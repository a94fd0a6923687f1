"""Loads models in every format of engines, and compares all of their weights.

The model to compare with is the same class with the weights that monoquant
dequantizes, so that it does not matter how a class names or puts together what
the file has.
"""

import os
import shutil

import safetensors.torch
import torch
import transformers

from tests.engines import engine_test_case
from tests.support import monoquant

# Weights of these formats are decoded to F16 whatever the model's type.
WORDS = ("gptq", "awq")


def _options(form):
    if form == "gptq":
        # Of this, loading takes the backend alone.
        return {"quantization_config": transformers.GPTQConfig(
            bits=4, backend="gptq_torch")}
    if form == "awq":
        return {"device_map": "cpu",
                "quantization_config": transformers.AwqConfig(
                    backend="torch_awq")}
    if form in ("bitsandbytes", "torchao"):
        return {"device_map": "cpu"}
    return {}


def effective(module, name="weight"):
    """A parameter as the layer has it in effect, as floats."""
    if hasattr(module, "dequantize_weight"):  # gptqmodel's, of GPTQ
        return module.dequantize_weight().T
    if hasattr(module, "qweight"):  # gptqmodel's, of AWQ
        with torch.no_grad():
            rows = module(torch.eye(module.in_features, dtype=torch.float16))
            return (rows - (0 if module.bias is None else module.bias)).T
    weight = getattr(module, name)
    if type(weight).__name__ == "Params4bit":
        import bitsandbytes
        return bitsandbytes.functional.dequantize_4bit(
            weight.data, weight.quant_state)
    weight = weight.detach()
    return weight if type(weight) is torch.Tensor else weight.dequantize()


class EveryFormat(engine_test_case.EngineTestCase):
    """Subclasses set `source` to the model's directory."""

    DTYPE = torch.bfloat16  # of the models

    def write_as(self, form, *args, source=None):
        output = os.path.join(self.folder, form)
        shutil.rmtree(output, ignore_errors=True)
        monoquant.quantize(source or self.source, output, "--to", form, *args)
        return output

    def load_as(self, form, folder, auto):
        """(model, what Transformers says of the names in the file)"""
        dtype = torch.float16 if form in WORDS else self.DTYPE
        model, info = auto.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, **_options(form))
        return model.eval(), {key: value for key, value in info.items() if value}

    def twin(self, form, folder, auto, source=None):
        """The model with the weights that monoquant reads from `folder`."""
        words = form in WORDS
        place = folder + " as floats"
        shutil.rmtree(place, ignore_errors=True)
        os.makedirs(place)
        shutil.copy(os.path.join(source or self.source, "config.json"), place)
        monoquant.run("dequantize", "-m", folder, "-o",
                      os.path.join(place, "model.safetensors"),
                      *(["--dtype", "f16"] if words else []))
        return auto.from_pretrained(
            place, dtype=torch.float16 if words else self.DTYPE).eval()

    def worst_of_all(self, model, twin):
        """The largest difference of a parameter of two dimensions and more, in
        largest values."""
        worst = 0
        for name, expected in twin.named_parameters():
            if expected.dim() < 2:
                continue
            module, _, parameter = name.rpartition(".")
            found = effective(model.get_submodule(module), parameter)
            expected = expected.detach().to(found.dtype).float()
            error = (found.float() - expected).abs()
            error = error.nan_to_num(nan=float("inf")).max()
            worst = max(worst, (error / expected.abs().max()).item())
        return worst

    def check_all(self, form, folder, auto, run, source=None, least=0.999):
        """All names are found, all weights equal monoquant's, and outputs are
        those of the twin; returns model and twin."""
        model, info = self.load_as(form, folder, auto)
        self.assertEqual(info, {})
        twin = self.twin(form, folder, auto, source)
        if form == "compressed-tensors":
            run(model)  # decompresses
        # A bias, where a layer has one, is added and taken away.
        self.assertLess(self.worst_of_all(model, twin),
                        0.005 if form == "awq" else 1e-9)
        self.assertGreater(engine_test_case.cosine(run(model), run(twin)), least)
        return model, twin
