"""Runs of the program with faults between it and the disk (fault_shim.cc)."""

import os
import pathlib
import random
import shutil

from tests.cli import make_checkpoints
from tests.cli.cli_test_case import CliTestCase, environment, snapshot

SHIM = os.path.abspath(pathlib.Path(__file__).parent / "fault_shim.so")

PART = ".mq-resume.tmp"
LOG = ".mq-resume.log"


def weights(name, rows, columns):
    """F32 values of a few magnitudes; quickly made, never the same twice."""
    source = random.Random(name)
    block = bytearray(source.randbytes(rows * columns * 4))
    block[3::4] = bytes(source.choice((0x3d, 0xbd, 0x3c, 0xbe))
                        for _ in range(rows * columns))
    return make_checkpoints.Tensor(name, "F32", (rows, columns), bytes(block))


def model():
    """Tensors of one piece and of several, with pieces of 64 KiB."""
    return [weights("a.weight", 40, 512), weights("b.weight", 100, 384),
            make_checkpoints.normal("norm.weight", (64,)),
            weights("c.weight", 16, 512)]


def leftovers(folder):
    """What is left of unfinished runs below a folder."""
    return sorted(name for name in snapshot(folder)
                  if PART in name or LOG in name or ".mq-" in name)


class FaultTestCase(CliTestCase):

    def run_with_fault(self, fault, at, *args):
        """Runs `monoquant ARGS`; see fault_shim.cc."""
        variables = {"LD_PRELOAD": SHIM, "FAULT": str(fault),
                     "FAULT_AT": str(at)}
        return self.run_cli(*args, env=environment(**variables))

    def count_calls(self, *args):
        """How many calls that change files a run makes."""
        count = self.path("..", os.path.basename(self.folder) + ".count")
        self.addCleanup(lambda: os.path.exists(count) and os.remove(count))
        self.succeed(*args, env=environment(LD_PRELOAD=SHIM, FAULT_COUNT=count))
        with open(count) as file:
            return int(file.read())

    def refill(self, source):
        """Makes the test's folder a copy of another one."""
        shutil.rmtree(self.folder)
        shutil.copytree(source, self.folder, symlinks=True)
