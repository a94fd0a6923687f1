"""What is shown while a long run works: a bar for people, lines for logs.

The long run is the SHA-256 of one large tensor, which one thread computes at
some hundred megabytes a second on any machine of today.
"""

import os
import pty
import re
import subprocess
import unittest

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import PROGRAM, CliTestCase, environment


class ProgressTest(CliTestCase):

    def setUp(self):
        super().setUp()
        make_checkpoints.write_torch(self.path("short.pt"),
                                     make_checkpoints.model())
        make_checkpoints.write_sparse(self.path("long.safetensors"), 0.75)

    def hash_on_terminal(self, *flags, **variables):
        """Runs the long run with a terminal as stderr; what that showed."""
        leader, follower = pty.openpty()
        process = subprocess.Popen(
            [PROGRAM, "inspect", "long.safetensors", "--hash", *flags],
            cwd=self.folder, env=environment(TERM="xterm", **variables),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=follower)
        os.close(follower)
        shown = b""
        while True:
            try:
                data = os.read(leader, 65536)
            except OSError:  # the other end is closed
                break
            if not data:
                break
            shown += data
        os.close(leader)
        self.assertEqual(process.wait(), 0)
        return shown.decode()

    def check_lines(self, text):
        """A line for each tenth, never the same tenth twice."""
        lines = text.splitlines()
        self.assertTrue(lines)
        tenths = []
        for line in lines:
            match = re.fullmatch(
                r"hashing: ([0-9]+)%  [0-9.]+ \w+ of 768\.0 MiB  [0-9.]+ \w+/s"
                r"(  .* left)?", line)
            self.assertTrue(match, line)
            tenths.append(int(match.group(1)) // 10)
        self.assertEqual(tenths, sorted(set(tenths)))
        self.assertEqual(tenths[-1], 10)

    def test_short_runs_are_silent(self):
        for args in (["quantize", "short.pt"], ["inspect", "short.pt", "--hash"],
                     ["compare", "short.pt", "short.pt"]):
            process = self.run_cli(*args)
            self.assertEqual((process.returncode, process.stderr), (0, ""))

    def test_lines_where_there_is_no_terminal(self):
        process = self.run_cli("inspect", "long.safetensors", "--hash")
        self.assertEqual(process.returncode, 0)
        self.check_lines(process.stderr)

    def test_a_bar_on_a_terminal(self):
        shown = self.hash_on_terminal()
        self.assertRegex(
            shown, r"\r\x1b\[Khashing \[=*>? *\] [0-9]+%  .*/s  [0-9.]+ s left")
        self.assertTrue(shown.endswith("\r\x1b[K"), "the bar is left behind")

    def test_continuous_integration_gets_lines(self):
        self.check_lines(
            self.hash_on_terminal(CI="true").replace("\r\n", "\n"))

    def test_none(self):
        self.assertEqual(self.hash_on_terminal("--progress", "none"), "")


class ColorTest(CliTestCase):

    def error_on_terminal(self, **variables):
        leader, follower = pty.openpty()
        subprocess.run([PROGRAM, "inspect", "nowhere.pt"], cwd=self.folder,
                       env=environment(TERM="xterm", **variables),
                       stderr=follower)
        os.close(follower)
        shown = os.read(leader, 65536).decode()
        os.close(leader)
        return shown

    def test_no_color(self):
        self.assertIn("\x1b[", self.error_on_terminal())
        self.assertNotIn("\x1b", self.error_on_terminal(NO_COLOR="1"))


if __name__ == "__main__":
    unittest.main()
