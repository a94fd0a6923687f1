"""One tool in a process of its own, see //tests/bench:peers.

    quantize TOOL SCHEME MODEL OUTPUT    the run that is measured
    check TOOL SCHEME MODEL OUTPUT NAME  SQNR in dB of tensor NAME in OUTPUT
    kernels TOOL SCHEME DTYPE ROWS COLUMNS SECONDS
        seconds that one matrix in memory takes, the median

TOOL is a module of this folder.
"""

import importlib
import statistics
import sys
import time


def check(tool, scheme, model, output, name):
    import numpy

    original = tool.load_original(model, name).astype(numpy.float64)
    error = tool.load(output, name, scheme).reshape(original.shape) - original
    return 10 * numpy.log10(numpy.square(original).sum() /
                            numpy.square(error).sum())


def kernel(tool, scheme, dtype, rows, columns, seconds):
    weight = tool.make_weight(dtype, rows, columns)
    tool.quantize(weight, scheme)
    taken = []
    end = time.perf_counter() + seconds
    while not taken or time.perf_counter() < end:
        begin = time.perf_counter()
        result = tool.quantize(weight, scheme)
        taken.append(time.perf_counter() - begin)
        del result
    return statistics.median(taken)


def main(what, tool, scheme, *args):
    tool = importlib.import_module("tests.bench.peer_tools." + tool)
    if what == "quantize":
        tool.quantize_file(*args, scheme)
    elif what == "check":
        print(check(tool, scheme, *args))
    else:
        dtype, rows, columns, seconds = args
        print(kernel(tool, scheme, dtype, int(rows), int(columns),
                     float(seconds)))


if __name__ == "__main__":
    main(*sys.argv[1:])
