"""`inspect --json --hash` equals what the stock libraries read.

Guards the frontends: names, order, dtypes, shapes and every byte, for files as
torch and safetensors write them and for published checkpoints.
"""

import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

import torch

from tests.interop import published, tensor_bytes, torch_checkpoints
from tests.support import monoquant

KEYS = ("name", "dtype", "shape", "bytes", "sha256")


class InspectTest(unittest.TestCase):
    maxDiff = None

    def check(self, checkpoint):
        expected = [tensor_bytes.describe(name, tensor)
                    for name, tensor in checkpoint.load().items()]
        document = monoquant.run_json("inspect", checkpoint.path, "--hash")
        got = [{key: tensor[key] for key in KEYS}
               for tensor in document["tensors"]]
        if checkpoint.partial:
            names = {tensor["name"] for tensor in expected}
            got = [tensor for tensor in got if tensor["name"] in names]
            got.sort(key=lambda tensor: tensor["name"])
            expected.sort(key=lambda tensor: tensor["name"])
        self.assertEqual(got, expected)

    def test_generated(self):
        with tempfile.TemporaryDirectory() as folder:
            for checkpoint in torch_checkpoints.make_all(folder):
                with self.subTest(checkpoint.name):
                    self.check(checkpoint)

    def test_published(self):
        for checkpoint in published.find():
            with self.subTest(checkpoint.name):
                self.check(checkpoint)

    def test_containers(self):
        """The document says what kind of file it is."""
        with tempfile.TemporaryDirectory() as folder:
            got = {
                checkpoint.name:
                    monoquant.run_json("inspect", checkpoint.path)["container"]
                for checkpoint in torch_checkpoints.make_all(folder)}
        for name, container in got.items():
            expected = "torchscript" if name == "torchscript" else "torch"
            if name.startswith("safetensors"):
                expected = "safetensors"
            if name == "safetensors_sharded":
                expected = "safetensors-sharded"
            self.assertEqual(container, expected, name)

    def test_metadata(self):
        with tempfile.TemporaryDirectory() as folder:
            path = torch_checkpoints.safetensors_of_every_type(folder + "/x")
            document = monoquant.run_json("inspect", path)
        self.assertEqual(document["metadata"],
                         {"format": "pt", "author": "somebody \u00fc"})


if __name__ == "__main__":
    unittest.main()
