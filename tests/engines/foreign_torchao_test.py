"""monoquant reads what torchao wrote, through Transformers and by itself.

What `dequantize` makes of each layer equals what torchao's own classes decode from
the file that it wrote, bit for bit, in the model's type and in float32.
"""

import json
import os
import unittest

from tests.support import optional

optional.require_engines()

from tests.engines import quiet

import safetensors
import safetensors.torch
import torch
import transformers
from torchao import quantization as ao
from torchao.prototype.safetensors import safetensors_support
from torchao.quantization import granularity, quant_primitives

from tests.engines.engine_test_case import load, open_tensors, read_config
from tests.engines.foreign_test_case import ForeignTestCase
from tests.support import monoquant

_GROUPS = granularity.PerGroup(32)


def _integers(dtype, **options):
    return ao.IntxWeightOnlyConfig(weight_dtype=dtype, **options)


# A configuration, options of TorchAoConfig, and the storage of the record.
SCHEMES = {
    "int8": (ao.Int8WeightOnlyConfig(), {}, "torchao"),
    "int8 per tensor": (
        ao.Int8WeightOnlyConfig(granularity=granularity.PerTensor()), {},
        "torchao-blocks"),
    "int8 in groups": (ao.Int8WeightOnlyConfig(granularity=_GROUPS), {},
                       "torchao-blocks"),
    "int8 with activations": (
        ao.Int8DynamicActivationInt8WeightConfig(version=2), {}, "torchao"),
    "fp8": (ao.Float8WeightOnlyConfig(), {}, "torchao"),
    "fp8 per tensor": (
        ao.Float8WeightOnlyConfig(granularity=granularity.PerTensor()), {},
        "torchao-blocks"),
    "fp8 of two bits": (
        ao.Float8WeightOnlyConfig(weight_dtype=torch.float8_e5m2), {},
        "torchao-blocks"),
    "int4": (_integers(torch.int4, granularity=_GROUPS), {}, "torchao-blocks"),
    "int4 with activations": (
        ao.Int8DynamicActivationIntxWeightConfig(weight_dtype=torch.int4), {},
        "torchao-blocks"),
    "int4 asymmetric": (
        _integers(torch.int4, granularity=_GROUPS,
                  mapping_type=ao.MappingType.ASYMMETRIC), {},
        "torchao-blocks"),
    "int2 asymmetric": (
        _integers(torch.int2, granularity=_GROUPS,
                  mapping_type=ao.MappingType.ASYMMETRIC), {},
        "torchao-blocks"),
    "int8 of rows with zero points": (
        _integers(torch.int8, granularity=granularity.PerAxis(0),
                  mapping_type=ao.MappingType.ASYMMETRIC), {},
        "torchao-blocks"),
    "one layer left out": (
        ao.Int8WeightOnlyConfig(),
        {"modules_to_not_convert": ["lm_head", "model.layers.1.mlp.up_proj"]},
        "torchao"),
    "the output layer too": (
        ao.Int8WeightOnlyConfig(), {"include_input_output_embeddings": True},
        "torchao"),
}


def write(source, folder, config, save={}, **options):
    load(source, device_map="cpu",
         quantization_config=transformers.TorchAoConfig(
             config, **options)).save_pretrained(folder, **save)


def decode(weight, dtype):
    """What torchao makes of one of its tensors."""
    if type(weight).__name__ == "IntxUnpackedToInt8Tensor":
        return quant_primitives.dequantize_affine(
            weight.qdata, weight.block_size, weight.scale, weight.zero_point,
            torch.int8, output_dtype=dtype)
    return weight.dequantize(dtype)


def as_loaded(folder, dtype):
    """{name: weight} of the layers that Transformers loads, as torchao decodes
    them; the others are what they are."""
    weights = {}
    for name, module in load(folder, device_map="cpu").named_modules():
        if not isinstance(module, torch.nn.Linear):
            continue
        weight = module.weight.detach()
        weights[name + ".weight"] = (
            weight if type(weight) is torch.Tensor else decode(weight, dtype))
    return weights


def metadata_of(path):
    with safetensors.safe_open(path, "pt") as file:
        return file.metadata()


def describe(folder, change):
    """Saves the only file with what `change` makes of its text metadata and of
    {name: tensor}."""
    path, tensors = open_tensors(folder)
    metadata = metadata_of(path)
    change(metadata, tensors)
    safetensors.torch.save_file(tensors, path, metadata)


class ForeignTorchaoTest(ForeignTestCase):

    as_loaded = staticmethod(as_loaded)

    def write(self, name, scheme, **save):
        folder = self.path(name)
        config, options, _ = SCHEMES[scheme]
        write(self.source, folder, config, save, **options)
        return folder

    def storages(self, folder):
        record = monoquant.run_json("inspect", folder)["quantization"]
        return {tensor["storage"] for tensor in record["tensors"]}

    def refused(self, folder, exit_code):
        """The message of an error about a directory that is not read."""
        with self.assertRaises(monoquant.Failed) as failed:
            monoquant.run("inspect", folder)
        self.assertEqual(failed.exception.exit_code, exit_code)
        return failed.exception.message

    def test_every_scheme(self):
        originals = set(open_tensors(self.source)[1])
        for name, (_, _, storage) in SCHEMES.items():
            with self.subTest(scheme=name):
                folder = self.write(name, name)
                self.check_folder(folder)
                self.assertEqual(self.storages(folder), {storage})
                weights = self.read(folder)
                self.assertEqual(set(weights), originals)
                self.assertNotIn("tensor_names", metadata_of(
                    self.path("floats.safetensors")))

    def test_zero_points_make_a_difference(self):
        """Or the tests above would show little."""
        folder = self.write("zero points", "int4 asymmetric")
        expected = self.read(folder)

        def change(metadata, tensors):
            for name, tensor in tensors.items():
                if name.endswith("_zero_point"):
                    tensors[name] = torch.zeros_like(tensor)

        describe(folder, change)
        name = "model.layers.0.mlp.up_proj.weight"
        self.assertFalse(torch.equal(self.read(folder)[name], expected[name]))
        self.check_folder(folder)

    def test_zero_points_that_should_be_none(self):
        """A class of symmetric weights has them too; they count."""
        folder = self.write("odd", "int8")

        def change(metadata, tensors):
            for name, tensor in tensors.items():
                if name.endswith("_zero_point"):
                    tensors[name] = tensor + 3

        describe(folder, change)
        self.check_folder(folder)
        with self.assertRaisesRegex(monoquant.Failed, "zero point of scale"):
            monoquant.run("convert", "-m", folder, "-o", self.path("none"),
                          "--to", "compressed-tensors")

    def test_other_blocks(self):
        """A state dict, which Transformers has no part in."""
        torch.manual_seed(3)
        weight = torch.randn(256, 192, dtype=torch.float16)
        tensor = ao.Float8Tensor.from_hp(
            weight, granularity=granularity.PerBlock([64, 64]))
        groups = ao.Float8Tensor.from_hp(
            weight, granularity=granularity.PerGroup(48))
        bare = ao.Int8Tensor(
            torch.randint(-128, 128, (6, 7), dtype=torch.int8),
            torch.rand(6, 1), [1, 7], torch.float16)
        state = {"a.weight": tensor, "b.weight": groups, "c.weight": bare,
                 "c.bias": torch.ones(6)}
        tensors, metadata = safetensors_support.flatten_tensor_state_dict(state)
        folder = self.path("state dict")
        os.makedirs(folder)
        safetensors.torch.save_file(
            tensors, os.path.join(folder, "model.safetensors"), metadata)
        with open(os.path.join(folder, "config.json"), "w") as file:
            json.dump({"quantization_config": {"quant_method": "torchao"}},
                      file)
        self.check(self.read(folder), {
            "a.weight": tensor.dequantize(), "b.weight": groups.dequantize(),
            "c.weight": (bare.qdata * bare.scale).half(),
            "c.bias": state["c.bias"]})

    def test_shards(self):
        """Parts of a weight lie in several of them, each of which has the
        metadata of all, or only that of its own."""
        folder = self.write("shards", "int4 asymmetric", max_shard_size="60KB")
        shards = [name for name in os.listdir(folder)
                  if name.endswith(".safetensors")]
        self.assertGreater(len(shards), 2)
        expected = as_loaded(folder, torch.bfloat16)
        self.check(self.read(folder), expected)
        verify = ["verify", folder, "--for", "transformers"]
        monoquant.run(*verify)
        for shard in shards:
            path = os.path.join(folder, shard)
            metadata = metadata_of(path)
            tensors = safetensors.torch.load_file(path)
            own = {name: text for name, text in metadata.items()
                   if name in tensors or any(
                       key.startswith(name.replace(".weight", "._weight_"))
                       for key in tensors)}
            self.assertLess(len(own), len(metadata) - 2)
            own["tensor_names"] = json.dumps(sorted(own))
            safetensors.torch.save_file(tensors, path, {**own, "format": "pt"})
        self.check(self.read(folder), expected)
        # Transformers takes the list of the last file for that of all.
        with self.assertRaises(Exception):
            as_loaded(folder, torch.bfloat16)
        with self.assertRaises(monoquant.Failed) as verified:
            monoquant.run(*verify)
        self.assertEqual(verified.exception.exit_code, 4)

    def test_a_weight_without_some_parts(self):
        folder = self.write("parts", "int8")
        name = "model.layers.0.mlp.up_proj._weight_scale"
        describe(folder, lambda _, tensors: tensors.pop(name))
        self.assertIn("its scales '%s' are missing" % name,
                      self.refused(folder, 6))

    def test_files_without_descriptions(self):
        folder = self.write("undescribed", "int8")
        describe(folder, lambda metadata, _: metadata.clear())
        self.assertIn("is a part of a weight that the metadata does not "
                      "describe", self.refused(folder, 6))

    def test_blocks_that_contradict_the_scales(self):
        folder = self.write("contradiction", "int4")
        name = "model.layers.1.self_attn.q_proj"

        def change(metadata, tensors):
            metadata[name + ".weight"] = metadata[name + ".weight"].replace(
                "[1, 32]", "[1, 64]")

        describe(folder, change)
        self.assertIn(
            "tensor '%s._weight_qdata': its scales '%s._weight_scale' are for "
            "blocks of [1, 32], but the metadata says [1, 64]" % (name, name),
            self.refused(folder, 6))

    def test_another_class_is_not_read(self):
        folder = self.write("class", "int8")
        name = "model.layers.0.mlp.up_proj"

        def change(metadata, tensors):
            metadata[name + ".weight"] = metadata[name + ".weight"].replace(
                "Int8Tensor", "Int4Tensor")

        describe(folder, change)
        message = self.refused(folder, 6)
        self.assertIn('which is of torchao\'s class "Int4Tensor", which is not '
                      "read", message)
        self.assertIn("--as-stored", message)
        names = {tensor["name"] for tensor in monoquant.run_json(
            "inspect", "--as-stored", folder)["tensors"]}
        self.assertIn(name + "._weight_qdata", names)

    def test_codes_beyond_four_bits(self):
        folder = self.write("beyond", "int4")
        name = "model.layers.0.mlp.up_proj._weight_qdata"

        def change(metadata, tensors):
            tensors[name] = tensors[name] * 2

        describe(folder, change)
        with self.assertRaisesRegex(
                monoquant.Failed, "'%s' has the code -?[0-9]+, which is no "
                "number of int4" % name):
            self.read(folder)

    def test_it_is_kept(self):
        """What `convert` writes, Transformers loads like the original."""
        for name in ("int8", "fp8 per tensor", "int4 asymmetric"):
            with self.subTest(scheme=name):
                folder = self.write("kept " + name, name)
                output = self.path("converted " + name)
                monoquant.run("convert", "-m", folder, "-o", output)
                self.assertEqual(read_config(output)["quantization_config"],
                                 read_config(folder)["quantization_config"])
                self.check(as_loaded(output, torch.float32),
                           as_loaded(folder, torch.float32))
                self.check(self.read(output),
                           as_loaded(folder, torch.bfloat16))

    def test_it_is_stored_in_another_way(self):
        """With the same numbers."""
        for name, to in (("int8", "torchao"), ("fp8", "torchao"),
                         ("int8 with activations", "compressed-tensors"),
                         ("int8 in groups", "compressed-tensors"),
                         ("int4", "compressed-tensors"),
                         ("fp8 per tensor", "compressed-tensors"),
                         ("int4 asymmetric", "mqir")):
            with self.subTest(scheme=name, to=to):
                folder = self.write("stored " + name, name)
                output = self.path("stored as %s of %s%s" % (
                    to, name, ".mqir" if to == "mqir" else ""))
                monoquant.run("convert", "-m", folder, "-o", output, "--to",
                              to)
                self.check(self.read(output, "--dtype", "f32"),
                           as_loaded(folder, torch.float32))
                if to == "torchao":
                    self.check(as_loaded(output, torch.float32),
                               as_loaded(folder, torch.float32))

    def test_it_is_quantized_anew(self):
        folder = self.write("anew", "int4 asymmetric")
        output = self.path("int8.safetensors")
        monoquant.quantize(folder, output, "--type", "int8")
        floats = self.path("anew.safetensors")
        safetensors.torch.save_file(self.read(folder), floats)
        expected = self.path("expected.safetensors")
        monoquant.quantize(floats, expected, "--type", "int8")
        self.check(safetensors.torch.load_file(output),
                   safetensors.torch.load_file(expected))


if __name__ == "__main__":
    unittest.main()
