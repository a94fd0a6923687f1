"""bazel run //tests/bench:memory [-- --folder FOLDER]

The memory that `quantize` takes for checkpoints of any size, as a process: files
without a payload on the disk (all of it zero), of which the output takes its
place on the disk for a while.
"""

import argparse
import os
import pathlib
import subprocess
import tempfile

from tests.bench.measure import Failed, run
from tests.cli import make_checkpoints

_FOLDER = pathlib.Path(__file__).parent
MONOQUANT = _FOLDER.parents[1] / "cli" / "monoquant"

# (gigabytes, tensors, flags)
CASES = (
    (4, 60, ["--type", "int8"]),
    (4, 60, ["--type", "int4"]),
    (8, 1, ["--type", "int4"]),
    (8, 1, ["--type", "int8", "--granularity", "tensor"]),
    (20, 300, ["--type", "int4"]),
    (20, 300, ["--type", "int4", "--max-memory", "64M"]),
    (20, 300, ["--type", "int4", "--max-memory", "12M"]),
)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--threads", type=int, nargs="+",
                        default=[1, os.cpu_count(), 8])
    parser.add_argument("--folder", help="where the files lie while it runs")
    args = parser.parse_args()
    for gigabytes, tensors, flags in CASES:
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            model = os.path.join(folder, "model.safetensors")
            make_checkpoints.write_sparse(model, gigabytes * 1e9 / 2**30,
                                          tensors)
            for threads in args.threads:
                command = [MONOQUANT, "quantize", model, "-o",
                           os.path.join(folder, "out.safetensors"), "--force",
                           "--threads", threads, *flags]
                try:
                    usage = run(command, stdout=subprocess.DEVNULL)
                except Failed as error:
                    what = str(error)
                else:
                    what = "%4.0f MB anonymous, %4.0f MB resident, %6.1f s" % (
                        usage.anonymous_mb, usage.resident_mb, usage.seconds)
                print("%2d GB, %3d tensors, %d threads, %-30s %s" % (
                    gigabytes, tensors, threads, " ".join(flags), what),
                      flush=True)


if __name__ == "__main__":
    main()
