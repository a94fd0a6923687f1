"""bazel run //tests/bench:runs [-- --gigabytes 1 4 --types int8 int4]

Whole runs of `quantize` as a process, beside the yardstick, which only reads the
input and writes as many bytes: seconds, processor seconds and memory, each the
median of five, warm (the input in the page cache) and cold (dropped from it).
"""

import argparse
import json
import os
import pathlib
import random
import statistics
import struct
import subprocess
import tempfile
import time

_FOLDER = pathlib.Path(__file__).parent
MONOQUANT = _FOLDER.parents[1] / "cli" / "monoquant"
YARDSTICK = _FOLDER / "yardstick"

RUNS = 5
ROWS = COLUMNS = 4096


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
    with open(path, "rb", buffering=0) as file:
        if warm:
            buffer = bytearray(1 << 22)
            while file.readinto(buffer):
                pass
        else:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def run(command):
    """(seconds, processor seconds, largest resident set in MB)"""
    begin = time.monotonic()
    process = subprocess.Popen([str(word) for word in command])
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.monotonic() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise SystemExit("%s failed" % command[0])
    return seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1000


def measure(commands, model, output, warm):
    """The median of each command, taken in turns."""
    taken = [[] for _ in commands]
    for _ in range(RUNS):
        for command, results in zip(commands, taken):
            if os.path.exists(output):
                os.remove(output)
            set_cache(model, warm)
            results.append(run(command))
    return [tuple(map(statistics.median, zip(*results))) for results in taken]


def compare(model, output, number_format, threads, warm):
    quantize = [MONOQUANT, "quantize", "-m", model, "-o", output, "--type",
                number_format, "--threads", threads, "--quiet", "--force"]
    run(quantize)
    size = os.path.getsize(output)
    yardstick = [YARDSTICK, model, output, size, threads]
    ours, least = measure([quantize, yardstick], model, output, warm)
    print("%-9s %s  %6.3f s  %6.3f s cpu  %4.0f MB   yardstick %6.3f s  "
          "%6.3f s cpu   ratio %.2f" % (
              number_format, "warm" if warm else "cold", *ours, *least[:2],
              ours[0] / least[0]), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1, 4])
    parser.add_argument("--dtypes", nargs="+", default=["BF16", "F32"])
    parser.add_argument("--types", nargs="+", default=["int8", "int4"])
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--folder", help="where the files lie while it runs")
    args = parser.parse_args()
    for gigabytes in args.gigabytes:
        for dtype in args.dtypes:
            with tempfile.TemporaryDirectory(dir=args.folder) as folder:
                model = os.path.join(folder, "model.safetensors")
                make_checkpoint(model, gigabytes, dtype)
                print("%g GB of %s, %d threads" % (
                    os.path.getsize(model) / 1e9, dtype, args.threads))
                for number_format in args.types:
                    for warm in (True, False):
                        compare(model, os.path.join(folder, "out.safetensors"),
                                number_format, args.threads, warm)


if __name__ == "__main__":
    main()
