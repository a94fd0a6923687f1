"""bazel run //tests/bench:wasm [-- --runs 5]

The kernels as WebAssembly under Node beside the native ones for SSE4, which have
vectors of the same length: gigabytes of input a second, one thread, the median
of runs taken in turns.
"""

import argparse
import json
import pathlib
import statistics
import subprocess

_FOLDER = pathlib.Path(__file__).absolute().parent
WASM = [_FOLDER / "kernels_wasm", "--json", "wasm128"]
NATIVE = [_FOLDER / "kernels", "--json", "sse4"]


def rows(command):
    """{(scheme, dtype, with the error): gigabytes a second}"""
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE,
                          text=True).stdout
    found = {}
    for row in map(json.loads, text.splitlines()):
        key = row["scheme"], row["dtype"], row["error"]
        found[key] = row["gigabytes_per_second"]
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    runs = [(rows(WASM), rows(NATIVE)) for _ in range(args.runs)]
    print("| from | scheme | | wasm128 | sse4 | ratio |")
    print("|---|---|---|---|---|---|")
    for key in runs[0][0]:
        wasm, native = (statistics.median(run[which][key] for run in runs)
                        for which in (0, 1))
        scheme, dtype, error = key
        print("| %s | %s | %s | %.2f | %.2f | %.2f |" % (
            dtype, scheme, "+ error" if error else "", wasm, native,
            wasm / native))


if __name__ == "__main__":
    main()
