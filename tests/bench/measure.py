"""What the benchmarks of whole runs share: a file of weights, and one process
measured."""

import json
import os
import pathlib
import random
import struct
import subprocess
import threading
import time
from typing import NamedTuple

ROWS = COLUMNS = 4096

# Between two looks at the memory of a process.
_SECONDS_BETWEEN_SAMPLES = 0.02


def make_checkpoint(path, gigabytes, dtype):
    """Weights of some magnitudes, the same in every matrix."""
    rng = random.Random(1)
    block = bytearray()
    for _ in range(1 << 18):
        sign, exponent = rng.getrandbits(1), rng.randrange(116, 122)
        bits = sign << 31 | exponent << 23 | rng.getrandbits(23)
        block += struct.pack("<I", bits)[0 if dtype == "F32" else 2:]
    matrix = bytes(block) * (ROWS * COLUMNS // (1 << 18))
    count = max(1, round(gigabytes * 1e9 / len(matrix)))
    header = {
        "layers.%d.weight" % i: {
            "dtype": dtype, "shape": [ROWS, COLUMNS],
            "data_offsets": [i * len(matrix), (i + 1) * len(matrix)]}
        for i in range(count)}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _ in range(count):
            file.write(matrix)
        os.fsync(file.fileno())


def set_cache(path, warm):
    """To be called before a run. What another has left to write is no part of
    it: the disk would be busy, and its writes throttled."""
    os.sync()
    with open(path, "rb", buffering=0) as file:
        if warm:
            buffer = bytearray(1 << 22)
            while file.readinto(buffer):
                pass
        else:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


class Usage(NamedTuple):
    """What a process and all that it started took."""
    seconds: float
    processor_seconds: float
    resident_mb: float   # at most, with the pages of mapped files
    anonymous_mb: float  # at most, without them: what cannot be evicted


class Failed(Exception):
    """A process ended with another code than 0."""


def _descendants(pid):
    """`pid` and all that it started, as far as they still run."""
    found, waiting = [], [pid]
    while waiting:
        pid = waiting.pop()
        found.append(pid)
        for children in pathlib.Path("/proc/%d/task" % pid).glob("*/children"):
            try:
                waiting += map(int, children.read_text().split())
            except OSError:
                pass  # The thread ended.
    return found


def _memory(pid):
    """Kilobytes by name, of /proc/PID/status."""
    try:
        text = pathlib.Path("/proc/%d/status" % pid).read_text()
    except OSError:
        return {}  # The process ended.
    rows = (line.split() for line in text.splitlines())
    return {row[0][:-1]: int(row[1]) for row in rows if row[-1] == "kB"}


class _Sampler(threading.Thread):
    """Looks at the memory of a process and its descendants until stopped.

    The resident set that the kernel reports at the end will not do: it counts
    what the parent had when it started the process.
    """

    def __init__(self, pid):
        super().__init__(daemon=True)
        self._pid = pid
        self._ended = threading.Event()
        self.resident = self.anonymous = 0

    def run(self):
        self._sample()
        while not self._ended.wait(_SECONDS_BETWEEN_SAMPLES):
            self._sample()

    def stop(self):
        self._ended.set()
        self.join()

    def _sample(self):
        now = [_memory(pid) for pid in _descendants(self._pid)]

        def total(*names):
            return sum(row.get(name, 0) for row in now for name in names)

        self.anonymous = max(self.anonymous, total("RssAnon", "RssShmem"))
        self.resident = max(self.resident, total("VmRSS"),
                            *(row.get("VmHWM", 0) for row in now))


def run(command, memory=True, **options):
    """Runs `command`; `options` are Popen's. Raises Failed. Without `memory`
    nobody looks at it, which takes a little time of a processor."""
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in command], **options)
    sampler = _Sampler(process.pid)
    if memory:
        sampler.start()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    if memory:
        sampler.stop()
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise Failed("%s ended with %d" % (command[0], process.returncode))
    return Usage(seconds, usage.ru_utime + usage.ru_stime,
                 sampler.resident * 1024 / 1e6, sampler.anonymous * 1024 / 1e6)
