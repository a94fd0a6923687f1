"""`monoquant scan`, and what the other commands do with the same files.

Each attack would create a file, the canary, if anything in it were executed.
Python itself is asked once whether the attacks work: a test against attacks
that cannot work proves nothing.
"""

import gzip
import io
import json
import os
import pickle
import struct
import subprocess
import sys
import tarfile
import unittest
import zipfile

from tests.cli import json_schema, make_checkpoints
from tests.cli.cli_test_case import DOCS, CliTestCase, environment

SCHEMA = DOCS / "schemas" / "scan.json"


class Call:
    """Pickled as a call of `function`."""

    def __init__(self, function, *args):
        self.reduced = (function, args)

    def __reduce__(self):
        return self.reduced


def dumps(value, protocol):
    """A pickle as the Python 3 of today writes it."""
    return pickle.dumps(value, protocol)


class ScanTest(CliTestCase):

    def setUp(self):
        super().setUp()
        self.canary = self.path("canary")
        self.tensors = make_checkpoints.model()
        make_checkpoints.write_torch(self.path("good.pt"), self.tensors)

    def tearDown(self):
        self.assertFalse(os.path.exists(self.canary), "something was executed")
        super().tearDown()

    def command(self):
        return "touch '%s'" % self.canary

    def write(self, name, data):
        with open(self.path(name), "wb") as file:
            file.write(data)

    def scan(self, *names, exit_code):
        process = self.run_cli("scan", *names, "--json")
        self.assertEqual(process.returncode, exit_code, process.stderr)
        if exit_code:
            self.assertEqual(len(process.stderr.splitlines()), 1)
            self.assertIn("; ", process.stderr)
        document = json.loads(process.stdout)
        json_schema.check(document, json_schema.load(SCHEMA))
        return document

    def verdict(self, name, exit_code):
        return self.scan(name, exit_code=exit_code)["verdict"]

    def attacks(self):
        """(name, pickle that creates the canary, what is found in it)."""
        for protocol in range(6):
            yield ("system%d" % protocol,
                   dumps(Call(os.system, self.command()), protocol),
                   "system'")
            yield ("eval%d" % protocol,
                   dumps(Call(eval, "open(%r, 'w')" % self.canary), protocol),
                   "calls 'builtins.eval'")
        touch = self.command().encode()
        yield ("inst", b"(S'" + touch.replace(b"'", b'"') + b"'\nios\nsystem\n.",
               "calls 'os.system'")
        yield ("obj", b"(cos\nsystem\nV" + touch + b"\no.",
               "calls 'os.system'")
        yield ("popped", b"cos\nsystem\n(V" + touch + b"\ntR0N.",
               "calls 'os.system'")
        yield ("broken", b"cos\nsystem\n(V" + touch + b"\ntR\xff",
               "calls 'os.system'")
        yield ("memo",
               b"\x80\x04\x8c\x02os\x94\x8c\x06system\x940\x30h\x00h\x01\x93V"
               + touch + b"\n\x85R.", "calls 'os.system'")
        yield ("getattr",
               b"cbuiltins\ngetattr\n(cshutil\nos\nS'system'\ntR(V" + touch
               + b"\ntR.", "calls 'shutil.os.system'")
        yield ("dotted",
               b"\x80\x04cshutil\nos.system\n(V" + touch + b"\ntR.",
               "calls 'shutil.os.system'")
        yield ("import",
               b"cbuiltins\ngetattr\n(cbuiltins\n__import__\n(S'os'\ntR"
               b"S'system'\ntR(V" + touch + b"\ntR.",
               "calls 'builtins.__import__'")
        yield ("computed",
               b"\x80\x04cbuiltins\nstr\n(V" + b"os\ntRcbuiltins\nstr\n(Vsystem"
               b"\ntR\x93(V" + touch + b"\ntR.",
               "calls a function whose name the pickle computes")
        yield ("reduce",
               b"cfunctools\npartial\n(cos\nsystem\ntR(V" + touch + b"\ntR.",
               "passes 'os.system' to a call")
        yield ("map",
               b"cbuiltins\nlist\n(cbuiltins\nmap\n(cos\nsystem\n](V" + touch
               + b"\netRtR.", "calls 'builtins.map'")
        yield ("defaultdict",
               b"ccollections\ndefaultdict\n(cfunctools\npartial\n(cos\nsystem\n"
               b"V" + touch + b"\ntRtRp0\n0cbuiltins\ngetattr\n(g0\n"
               b"S'__getitem__'\ntR(S'x'\ntR.",
               "passes 'os.system' to a call")
        yield ("extension",
               b"ccopyreg\nadd_extension\n(S'os'\nS'system'\nI211\ntR0\x82\xd3(V"
               + touch + b"\ntR.", "calls 'copyreg.add_extension'")
        yield ("nested",
               dumps(Call(pickle.loads,
                          dumps(Call(os.system, self.command()), 4)), 4),
               "loads'")

    def test_the_attacks_work(self):
        for name, data, _ in self.attacks():
            program = "import pickle, sys; pickle.load(sys.stdin.buffer)"
            subprocess.run([sys.executable, "-c", program], input=data,
                           env=environment(), stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL, check=False)
            self.assertTrue(os.path.exists(self.canary), name)
            os.remove(self.canary)

    def test_attacks_are_found(self):
        for name, data, what in self.attacks():
            with self.subTest(name):
                self.write(name, data)
                document = self.scan(name, exit_code=6)
                self.assertEqual(document["verdict"], "dangerous")
                findings = [finding["what"]
                            for each in document["files"][0]["pickles"]
                            for finding in each["findings"]]
                self.assertTrue(any(what in each for each in findings),
                                findings)

    # A sound checkpoint with one more entry, which is the attack.
    def checkpoint_with(self, attack):
        with zipfile.ZipFile(self.path("good.pt")) as good:
            members = [(info.filename, good.read(info))
                       for info in good.infolist()]
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as bad:
            for name, data in members:
                if name.endswith("data.pkl"):
                    self.assertEqual(data[-1:], b".")
                    data = data[:-1] + attack
                bad.writestr(name, data)
        return target.getvalue()

    def test_commands_refuse_what_is_dangerous(self):
        # The weights, and below them on the stack what was called.
        attack = (b"cos\nsystem\n(V" + self.command().encode() + b"\ntR0.")
        self.write("evil.pt", self.checkpoint_with(attack))
        message = ["evil.pt", "calls 'os.system' (not executed); refusing",
                   "--allow-opaque"]
        for args in (["quantize", "evil.pt", "-o", "q.pt"],
                     ["plan", "evil.pt"], ["inspect", "evil.pt"],
                     ["convert", "evil.pt", "-o", "q.safetensors"],
                     ["compare", "good.pt", "evil.pt"],
                     ["dequantize", "evil.pt", "-o", "q.pt"]):
            self.fail_with(6, *args, mentions=message)
        self.assertEqual(self.verdict("evil.pt", 6), "dangerous")

        self.succeed("quantize", "good.pt", "-o", "good_q.pt")
        self.succeed("quantize", "evil.pt", "-o", "q.pt", "--allow-opaque")
        self.succeed("compare", "good_q.pt", "q.pt", "--fail-under", "200")
        self.succeed("compare", "good.pt", "evil.pt", "--fail-under", "200",
                     "--allow-opaque")
        self.succeed("inspect", "evil.pt", "--allow-opaque")
        self.succeed("plan", "evil.pt", "--allow-opaque")
        self.succeed("convert", "evil.pt", "-o", "c.safetensors",
                     "--allow-opaque")
        # What was written is clean.
        self.assertEqual(self.verdict("q.pt", 0), "safe")
        self.assertEqual(self.verdict("c.safetensors", 0), "safe")

    def test_every_protocol_is_refused_and_read(self):
        expected = self.succeed("inspect", "good.pt", "--json", "--hash")
        for protocol in range(6):
            attack = dumps(Call(os.system, self.command()), protocol)
            self.write("evil.pt", self.checkpoint_with(attack[:-1] + b"0."))
            self.fail_with(6, "inspect", "evil.pt", mentions=["system'"])
            self.assertEqual(
                self.succeed("inspect", "evil.pt", "--json", "--hash",
                             "--allow-opaque"), expected)

    def test_verdicts(self):
        for name, data, verdict, exit_code in (
                ("weights", dumps({"a": [1, 2.5, b"x"]}, 4), "safe", 0),
                ("class", b"cmy.model\nNet\n)\x81.", "unknown globals", 0),
                ("named", b"}S'f'\ncos\nsystem\ns.", "suspicious", 0),
                ("cut", dumps({"a": "b" * 99}, 4)[:50], "malformed", 6),
                ("text", b"just a text\n", "safe", 0)):
            self.write(name, data)
            self.assertEqual(self.verdict(name, exit_code), verdict)
        self.assertEqual(self.verdict("good.pt", 0), "safe")

    def test_containers(self):
        evil = dumps(Call(os.system, self.command()), 2)
        good = self.checkpoint_with(b".")
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            info = tarfile.TarInfo("pickle")
            info.size = len(evil)
            archive.addfile(info, io.BytesIO(evil))
        flagged = bytearray(self.checkpoint_with(b"0" + evil))
        flagged[6] |= 1  # of the first member: "encrypted"
        for name, data in (
                ("legacy", dumps(0x1950A86A20F9469CFC6C, 2) + dumps(1001, 2)
                 + dumps({}, 2) + evil + dumps(["0"], 2)
                 + struct.pack("<q", 1) + b"abcd"),
                ("second", dumps({}, 2) + evil),
                ("tar", tar.getvalue()),
                ("gzip", gzip.compress(evil)),
                ("flagged", bytes(flagged)),
                ("prefix", b"GIF89a" + self.checkpoint_with(b"0" + evil)),
                ("nested", self.zip_of("inner.pt",
                                       self.checkpoint_with(b"0" + evil))),
                ("text.pkl", self.zip_of("x.pkl", evil)),
                ("member", self.zip_of("no_extension", evil))):
            with self.subTest(name):
                self.write(name, data)
                self.assertEqual(self.verdict(name, 6), "dangerous")
        self.write("good.bin", good)
        os.mkdir(self.path("dir"))
        self.write("dir/.metadata", evil)
        self.assertEqual(self.verdict("dir", 6), "dangerous")

    @staticmethod
    def zip_of(name, data):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, data)
        return target.getvalue()

    def test_several_files(self):
        self.write("evil", dumps(Call(os.system, self.command()), 2))
        document = self.scan("good.pt", "nowhere.pt", "evil", exit_code=6)
        self.assertEqual([file["verdict"] for file in document["files"]],
                         ["safe", None, "dangerous"])
        self.assertIn("nowhere.pt", document["files"][1]["error"])
        self.scan("good.pt", "nowhere.pt", exit_code=5)

    def test_text(self):
        self.write("evil", dumps(Call(os.system, self.command()), 2))
        process = self.run_cli("scan", "evil")
        self.check_message(process, 6, ["evil: dangerous: calls",
                                        "do not load it in Python"])
        lines = process.stdout.splitlines()
        self.assertEqual(lines[0], "evil  dangerous  1 pickle")
        self.assertIn("REDUCE at byte", process.stdout)
        self.assertEqual(self.run_cli("scan", "evil", "-q").stdout, "")
        self.assertEqual(self.succeed("scan", "good.pt").splitlines()[0],
                         "good.pt  safe  1 pickle")

    def test_names_cannot_drive_the_terminal(self):
        self.write("x", b"\x80\x04\x8c\x08a\x1b[31m\nb\x8c\x03\x07\r\x00\x93)R.")
        self.assertNotRegex(self.succeed("scan", "x"), "[\x00-\x09\x0b-\x1f]")

    def test_help(self):
        document = (DOCS / "cli.md").read_text(encoding="utf-8")
        text = self.succeed("scan", "--help")
        for example in ("scan model.pt", "scan model_dir *.ckpt",
                        "scan download.bin --json > report.json"):
            self.assertIn("\n  monoquant %s\n" % example, text)
            self.assertIn("\nmonoquant %s\n" % example, document)
        self.assertLessEqual(max(map(len, text.splitlines())), 100)
        self.fail_with(2, "scan", mentions=["no file given"])


if __name__ == "__main__":
    unittest.main()
