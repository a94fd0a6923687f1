"""bazel run //tests/bench:runs [-- --gigabytes 1 4 --types int8 int4]

Whole runs of `quantize` as a process, beside the yardstick, which only reads the
input and writes as many bytes: seconds, processor seconds and memory, each the
median of five, warm (the input in the page cache) and cold (dropped from it).
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import tempfile

from tests.bench.measure import make_checkpoint, run, set_cache

_FOLDER = pathlib.Path(__file__).parent
MONOQUANT = _FOLDER.parents[1] / "cli" / "monoquant"
YARDSTICK = _FOLDER / "yardstick"

RUNS = 5


def measure(commands, model, output, warm):
    """The median of each command, taken in turns."""
    taken = [[] for _ in commands]
    for _ in range(RUNS):
        for command, results in zip(commands, taken):
            if os.path.exists(output):
                os.remove(output)
            set_cache(model, warm)
            results.append(
                run(command, memory=False, stdout=subprocess.DEVNULL)[:2])
    return [tuple(map(statistics.median, zip(*results))) for results in taken]


def compare(model, output, number_format, threads):
    """The report has how far each tensor is from its original; with --quiet
    nobody sees that, and it is not computed."""
    quantize = [MONOQUANT, "quantize", "-m", model, "-o", output, "--type",
                number_format, "--threads", threads, "--force"]
    first = run(quantize, stdout=subprocess.DEVNULL)
    size = os.path.getsize(output)
    yardstick = [YARDSTICK, model, output, size, threads]
    commands = {"": quantize, "quiet": quantize + ["--quiet"]}
    for warm in (True, False):
        *ours, least = measure([*commands.values(), yardstick], model, output,
                               warm)
        for name, row in zip(commands, ours):
            print("%-5s %-5s %s  %6.3f s  %6.3f s cpu   yardstick %6.3f s  "
                  "%6.3f s cpu   ratio %.2f" % (
                      number_format, name, "warm" if warm else "cold", *row,
                      *least, row[0] / least[0]), flush=True)
    print("%-5s %.0f MB resident, %.0f MB anonymous" % (
        number_format, first.resident_mb, first.anonymous_mb), flush=True)


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
                    compare(model, os.path.join(folder, "out.safetensors"),
                            number_format, args.threads)


if __name__ == "__main__":
    main()
