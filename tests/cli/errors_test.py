"""Every way to go wrong ends in one line that helps, and leaves no trace.

The line names the file, the tensor where there is one, and a next step; the exit
code is the documented one; the directory is as it was and the input unchanged.
"""

import os
import struct
import subprocess
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import CliTestCase, environment, snapshot

# Shell: mounts an empty file system of $1 on $2, in a namespace of its own that
# ends with the process, then runs the rest and lists what is left.
_IN_TMPFS = """
set -e
mount -t tmpfs -o "$1" none "$2"
folder=$2
shift 2
code=0
"$@" || code=$?
ls -A "$folder"
exit $code
"""


def _namespace():
    """How to run _IN_TMPFS on this machine; None if it does not allow that."""
    for unshare in (["unshare", "-m"], ["unshare", "-m", "-r"]):
        probe = [*unshare, "sh", "-c", "mount -t tmpfs none /mnt"]
        try:
            process = subprocess.run(probe, capture_output=True)
        except FileNotFoundError:
            return None
        if process.returncode == 0:
            return unshare
    return None


class ErrorsTest(CliTestCase):

    def setUp(self):
        super().setUp()
        self.model = make_checkpoints.write_torch(
            self.path("model.pt"), make_checkpoints.model()
        )
        self.tensors = make_checkpoints.write_safetensors(
            self.path("model.safetensors"), make_checkpoints.model()
        )

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def cut(self, name, size):
        with open(self.path(name), "r+b") as file:
            file.truncate(size)

    def quantize_fails(self, exit_code, model, *flags, **kwargs):
        kwargs.setdefault("mentions", [model])
        return self.fail_with(
            exit_code, "quantize", "-m", model, "-o", "out.pt", *flags, **kwargs
        )

    # What the input can be.

    def test_no_such_file(self):
        for command in ("quantize", "inspect", "plan"):
            self.fail_with(5, command, "nowhere.pt", mentions=["nowhere.pt"])
        self.fail_with(
            5, "compare", "model.pt", "nowhere.pt", mentions=["nowhere.pt"]
        )

    def test_empty_file(self):
        self.write("empty.pt", b"")
        self.quantize_fails(6, "empty.pt")
        self.fail_with(6, "inspect", "empty.pt", mentions=["empty.pt"])

    def test_directory_without_an_index(self):
        os.mkdir(self.path("folder"))
        self.quantize_fails(6, "folder")
        self.write("folder/notes.txt", b"nothing to see")
        self.quantize_fails(6, "folder")

    def test_truncated_zip(self):
        size = os.path.getsize(self.model)
        for rest in (size - 1, size // 2, 100):
            self.cut("model.pt", rest)
            self.quantize_fails(6, "model.pt")

    def test_truncated_safetensors(self):
        size = os.path.getsize(self.tensors)
        for rest in (size - 1, size // 2, 100, 8, 4):
            self.cut("model.safetensors", rest)
            self.quantize_fails(6, "model.safetensors")

    def test_web_page(self):
        self.write("model.pt", b"<!DOCTYPE html><html><body>Sign in</body></html>")
        self.quantize_fails(6, "model.pt")

    def test_random_bytes(self):
        self.write("model.pt", bytes(range(256)) * 16)
        self.quantize_fails(6, "model.pt")

    # What the output can be.

    def test_output_equal_to_input(self):
        os.link(self.model, self.path("hard.pt"))
        os.symlink("model.pt", self.path("soft.pt"))
        os.mkdir(self.path("folder"))
        for name in ("model.pt", "./model.pt", "folder/../model.pt", self.model,
                     "hard.pt", "soft.pt"):
            for force in ([], ["--force"]):
                with self.subTest(name, force=force):
                    self.fail_with(
                        5, "quantize", "model.pt", "-o", name, *force,
                        mentions=[name, "model.pt", "is the input"],
                    )

    def test_output_equal_to_a_file_of_the_input_directory(self):
        os.mkdir(self.path("folder"))
        shard = make_checkpoints.write_safetensors(
            self.path("folder", "model.safetensors"), make_checkpoints.model()
        )
        os.link(shard, self.path("hard.safetensors"))
        self.write("folder/config.json", b"{}")
        for name in ("folder/model.safetensors", "hard.safetensors",
                     "folder/config.json"):
            self.fail_with(
                5, "quantize", "folder", "-o", name, "--to", "safetensors",
                "--force", mentions=[name, "is the input"],
            )

    def test_output_exists(self):
        self.write("out.pt", b"precious")
        self.quantize_fails(5, "model.pt", mentions=["out.pt", "--force"])
        os.symlink("nowhere", self.path("dangling.pt"))
        self.fail_with(
            5, "quantize", "model.pt", "-o", "dangling.pt",
            mentions=["dangling.pt", "--force"],
        )

    def test_output_is_a_directory(self):
        os.mkdir(self.path("folder.pt"))
        self.fail_with(
            5, "quantize", "model.pt", "-o", "folder.pt", "--force",
            mentions=["folder.pt"],
        )

    def test_output_directory_missing(self):
        self.fail_with(
            5, "quantize", "model.pt", "-o", "no/such/out.pt",
            mentions=["no/such/out.pt"],
        )
        self.fail_with(
            5, "quantize", "model.pt", "-o", "model.safetensors/out.pt",
            mentions=["model.safetensors/out.pt"],
        )

    def test_unwritable_output(self):
        os.mkdir(self.path("folder"))
        if os.geteuid() != 0:
            os.chmod(self.path("folder"), 0o555)
            self.addCleanup(os.chmod, self.path("folder"), 0o755)
            self.fail_with(
                5, "quantize", "model.pt", "-o", "folder/out.pt",
                mentions=["folder/out.pt"],
            )
            return
        # Permissions do not stop root; a read-only file system does.
        self.fail_in_tmpfs("ro", "model.pt")

    def test_full_disk(self):
        make_checkpoints.write_safetensors(
            self.path("large.safetensors"),
            [make_checkpoints.Tensor("w", "F32", (1024, 1024), b"")],
            sparse=True,
        )
        os.mkdir(self.path("folder"))
        process = self.fail_in_tmpfs("size=256k", "large.safetensors")
        self.assertRegex(process.stderr, "needs [0-9]+ bytes")

    def fail_in_tmpfs(self, options, model):
        unshare = _namespace()
        if unshare is None:
            self.skipTest("this machine does not allow to mount a tmpfs")
        prefix = [*unshare, "sh", "-c", _IN_TMPFS, "sh", options,
                  self.path("folder")]
        # The listing on stdout is empty: nothing was left.
        return self.fail_with(
            5, "quantize", model, "-o", "folder/out.pt", prefix=prefix,
            mentions=["folder/out.pt"], stdout="",
        )

    def test_file_size_limit(self):
        """As a full disk, without any privileges."""
        self.quantize_fails(
            5, "model.pt", max_file_bytes=4096, mentions=["out.pt"]
        )

    # What the user can ask for.

    def test_unknown_flag(self):
        self.quantize_fails(
            2, "model.pt", "--bitz", "8", mentions=["--bitz", "--bits"]
        )

    def test_unknown_command(self):
        self.fail_with(2, "quantise", "model.pt", mentions=["'quantize'"])
        self.fail_with(2, mentions=["--help"])

    def test_bits(self):
        process = self.run_cli("quantize", "model.pt", "--bits", "9")
        self.assertEqual(process.returncode, 2)
        self.assertEqual(
            process.stderr, "monoquant: error: --bits 9: use 4, 8 or 16\n"
        )

    def test_no_output_format(self):
        self.fail_with(
            2, "quantize", "model.pt", "-o", "out.xyz", mentions=["out.xyz"]
        )

    def test_a_rule_that_matches_nothing(self):
        for flag in (["--rule", "fc9.*=int4"], ["--skip", "fc9.*"],
                     ["--only", "fc9.*"]):
            self.quantize_fails(
                2, "model.pt", *flag, mentions=["model.pt", "fc9.*", "fc1."]
            )
        self.succeed(
            "quantize", "model.pt", "-o", "out.pt", "--skip", "fc9.*",
            "--allow-unmatched",
        )

    def test_a_group_size_that_does_not_divide(self):
        self.quantize_fails(
            3, "model.pt", "--bits", "4", "--group-size", "48",
            mentions=["model.pt", "fc1.weight", "48"],
        )

    def test_nan_weights(self):
        bad = make_checkpoints.normal("fc.weight", (32, 64))
        data = bytearray(bad.data)
        offset = 4 * (3 * 64 + 17)
        data[offset : offset + 4] = struct.pack("<f", float("nan"))
        make_checkpoints.write_safetensors(
            self.path("nan.safetensors"), [bad._replace(data=bytes(data))]
        )
        self.quantize_fails(
            3, "nan.safetensors",
            mentions=["nan.safetensors", "fc.weight", "[3, 17]"],
        )
        for choice in ("keep", "zero"):
            self.succeed(
                "quantize", "nan.safetensors", "-o", choice + ".pt",
                "--nonfinite", choice,
            )

    def test_dequantize_of_floats(self):
        self.fail_with(
            3, "dequantize", "model.pt", "-o", "out.pt", mentions=["model.pt"]
        )

    def test_recipe(self):
        self.write("recipe.json", b'{"rules": [}')
        self.quantize_fails(
            2, "model.pt", "--recipe", "recipe.json", mentions=["recipe.json"]
        )
        self.quantize_fails(
            5, "model.pt", "--recipe", "nowhere.json", mentions=["nowhere.json"]
        )

    def test_gate(self):
        self.succeed("quantize", "model.pt", "-o", "small.pt", "--bits", "4")
        self.fail_with(
            4, "compare", "model.pt", "small.pt", "--fail-under", "90",
            mentions=["small.pt", "weight", "dB"], stdout=None,
        )
        self.succeed("compare", "model.pt", "small.pt", "--fail-under", "5")

    def test_names_from_a_file_cannot_drive_the_terminal(self):
        bad = make_checkpoints.normal("a\n\x1b[31mb.weight", (32, 65))
        make_checkpoints.write_safetensors(self.path("evil.safetensors"), [bad])
        self.quantize_fails(
            3, "evil.safetensors", "--group-size", "64",
            mentions=["evil.safetensors", "a\\x0a\\x1b[31mb.weight"],
        )
        self.assertNotIn("\x1b", self.succeed("inspect", "evil.safetensors"))

    def test_working_directory_missing(self):
        process = self.run_cli(
            "inspect", "model.pt",
            env=environment(BUILD_WORKING_DIRECTORY=self.path("gone")),
        )
        self.check_message(process, 5, [self.path("gone")])

    def test_the_input_is_never_changed(self):
        before = snapshot(self.folder)
        self.succeed("quantize", "model.pt", "-o", "out.pt")
        after = snapshot(self.folder)
        self.assertIn("out.pt", after)
        after.pop("out.pt")
        self.assertEqual(after, before)


class InstructionSetTest(CliTestCase):
    """The variable stands for the flag, which wins."""

    def setUp(self):
        super().setUp()
        make_checkpoints.write_torch(self.path("model.pt"),
                                     make_checkpoints.model())

    def test_variable(self):
        wrong = environment(MONOQUANT_SIMD="mmx")
        process = self.run_cli("plan", "model.pt", env=wrong)
        self.assertEqual(process.returncode, 2)
        self.assertRegex(
            process.stderr,
            r"^monoquant: error: MONOQUANT_SIMD mmx: use .*scalar\n$")
        for env, flags in ((environment(MONOQUANT_SIMD="scalar"), ()),
                           (environment(MONOQUANT_SIMD=""), ()),
                           (wrong, ("--simd", "scalar"))):
            process = self.run_cli("plan", "model.pt", *flags, env=env)
            self.assertEqual(process.returncode, 0, process.stderr)


if __name__ == "__main__":
    unittest.main()
