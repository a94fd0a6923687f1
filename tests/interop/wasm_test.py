"""The WebAssembly module reads every checkpoint as the command line does.

Guards the frontends as WebAssembly, 32 bits wide: the same document of
`inspect` and, by the same bytes of a copy, the same tensors. That the command
line reads them right is inspect_test's.
"""

import hashlib
import os
import pathlib
import tempfile
import unittest

from tests.support import optional

optional.require_pypi()

from tests.interop import corpora, published
from tests.support import monoquant, wasm_module

_RUNNER = pathlib.Path(__file__).with_name("read_wasm.mjs")

# A copy is made in memory, so not of the largest.
_MAX_COPIED = 64 << 20

_FLAGS = {"--allow-opaque": "allowOpaque", "--as-stored": "asStored"}


def _options(arguments):
    """The arguments of `inspect` but for the choice of tensors: what the module
    calls them, and what the command line does.
    """
    options, flags, rest = {}, [], list(arguments)
    while rest:
        flag = rest.pop(0)
        if flag == "--tensors":
            rest.pop(0)
        elif flag == "--root":
            options["root"] = rest.pop(0)
            flags += [flag, options["root"]]
        else:
            options[_FLAGS[flag]] = True
            flags.append(flag)
    return options, flags


def _bytes(path):
    if os.path.isfile(path):
        return os.path.getsize(path)
    return sum(_bytes(os.path.join(path, name)) for name in os.listdir(path))


def _copied(checkpoint):
    return (os.path.isfile(checkpoint.path)
            and _bytes(checkpoint.path) <= _MAX_COPIED)


class WasmTest(unittest.TestCase):
    maxDiff = None

    def read(self, folder, checkpoints):
        """What the module says of each, from one process."""
        return wasm_module.run(_RUNNER, folder, checkpoints=[
            {"path": checkpoint.path, "copied": _copied(checkpoint),
             "options": _options(checkpoint.arguments)[0]}
            for checkpoint in checkpoints])

    def check(self, folder, checkpoint, found):
        self.assertNotIn("error", found)
        _, flags = _options(checkpoint.arguments)
        document = monoquant.run_json("inspect", checkpoint.path, *flags)
        self.assertEqual(
            found["document"],
            {key: document[key] for key in found["document"]})
        if "sha256" not in found:
            return
        output = os.path.join(folder, "copy.mqir")
        monoquant.run("convert", "-m", checkpoint.path, "-o", output,
                      "--to", "mqir", "--force", "--quiet", *flags)
        with open(output, "rb") as file:
            self.assertEqual(found["sha256"],
                             hashlib.sha256(file.read()).hexdigest())

    def check_all(self, folder, checkpoints):
        for checkpoint, found in zip(
                checkpoints, self.read(folder, checkpoints)):
            with self.subTest(checkpoint.name):
                self.check(folder, checkpoint, found)

    def test_generated(self):
        for family in corpora.FAMILIES:
            with tempfile.TemporaryDirectory() as folder:
                self.check_all(folder, family.builder.make_all(folder))

    def test_published(self):
        with tempfile.TemporaryDirectory() as folder:
            self.check_all(folder, published.find(small=True))


if __name__ == "__main__":
    unittest.main(warnings="ignore")
