"""bazel run //tests/bench:peers [-- --gigabytes 1 --runs 5 --peers torch gguf]

monoquant beside other tools that quantize checkpoints, on the same file, with
as many threads, each in a process of its own: first whole runs, then what one
matrix in memory costs one thread. Prints tables for docs/performance.md; what
goes on meanwhile is told on stderr. A tool that cannot run has a row that says
why. What each tool is made to do is written in peer_tools/.
"""

import argparse
import importlib
import importlib.metadata
import json
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
from typing import NamedTuple

from tests.bench import measure

_FOLDER = pathlib.Path(__file__).absolute().parent
_ROOT = _FOLDER.parents[1]
MONOQUANT = _ROOT / "cli" / "monoquant"
KERNELS = _FOLDER / "kernels"

# One Linear; as many weights as the matrix of //tests/bench:kernels.
ROWS, COLUMNS = 8192, 2048

DTYPES = {"BF16": 2, "F32": 4}  # bytes

# What monoquant does: how --type and //tests/bench:kernels call it.
OWN_TYPES = {
    "int8": ("int8", "int8"),
    "int4 group 128": ("int4", "int4,group=128"),
    "fp8_e4m3": ("fp8_e4m3", "fp8_e4m3"),
}


class Peer(NamedTuple):
    package: str   # whose version is printed
    needs: list    # packages beside it
    module: str    # in peer_tools
    schemes: dict  # its own name: the nearest of monoquant
    suffix: str = ".safetensors"


_TORCH = ["torch", "numpy", "safetensors"]

PEERS = {
    "torch": Peer("torch", _TORCH, "torch_ops", {
        "int8": "int8", "fp8_e4m3": "fp8_e4m3"}),
    "torchao": Peer("torchao", _TORCH, "torchao", {
        "int8": "int8", "fp8_e4m3": "fp8_e4m3"}, ".pt"),
    "compressed-tensors": Peer(
        "compressed-tensors", _TORCH, "compressed_tensors", {
            "int8": "int8", "int4 group 128": "int4 group 128",
            "fp8_e4m3": "fp8_e4m3"}),
    "bitsandbytes": Peer("bitsandbytes", _TORCH, "bitsandbytes", {
        "int8": "int8", "nf4": "int4 group 128"}),
    "optimum-quanto": Peer("optimum-quanto", _TORCH, "quanto", {
        "int8": "int8", "fp8_e4m3": "fp8_e4m3"}),
    "gguf": Peer("gguf", [], "gguf", {
        "q8_0": "int8", "q4_0": "int4 group 128"}, ".gguf"),
}

# A result that is worse is not the tool's but a mistake in peer_tools.
LEAST_SQNR = {"int8": 30, "int4 group 128": 15, "fp8_e4m3": 25}


class Unavailable(Exception):
    """A tool cannot do what it is asked; the message is for its row."""


def tell(text):
    print(text, file=sys.stderr, flush=True)


def cell(value, digits=2):
    if value is None:
        return "–"
    return "%.*f" % (digits, value) if isinstance(value, float) else str(value)


def print_table(head, rows):
    print("| %s |" % " | ".join(head))
    print("|%s" % ("---|" * len(head)))
    for row in rows:
        print("| %s |" % " | ".join(row))
    print(flush=True)


class Tools:
    """Starts the peers, each with its own packages."""

    def __init__(self, folder):
        self._folder = pathlib.Path(folder)
        self._sites = {}

    def _site(self, peer):
        if peer.package not in self._sites:
            site = self._folder / "site" / peer.package
            try:
                from tests.bench.peer_tools import packages
                packages.make(site, [peer.package, *peer.needs])
            except ImportError as error:
                raise Unavailable(_why_not_installed() or str(error))
            self._sites[peer.package] = site
        return self._sites[peer.package]

    def command(self, peer, threads, *words):
        """(command, Popen's options)"""
        # Of the caller's variables for Python none: one of them forbids to keep
        # bytecode, and without it every import compiles.
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("PYTHON")}
        environment["PYTHONPATH"] = "%s:%s" % (self._site(peer), _ROOT)
        # The first run compiles, as pip would have.
        environment["PYTHONPYCACHEPREFIX"] = str(self._folder / "pycache")
        for name in ("OMP", "MKL", "OPENBLAS", "NUMEXPR"):
            environment[name + "_NUM_THREADS"] = str(threads)
        # -S: nothing of what else is installed on this machine.
        command = [sys.executable, "-S", "-m", "tests.bench.peer_tools.job"]
        return command + [str(word) for word in words], {"env": environment}

    def ask(self, peer, threads, *words):
        """The number that a job prints last."""
        command, options = self.command(peer, threads, *words)
        process = subprocess.run(command, stdout=subprocess.PIPE,
                                 stderr=subprocess.PIPE, encoding="utf-8",
                                 **options)
        if process.returncode != 0:
            raise Unavailable(_reason(process.stderr) or
                              "ended with %d" % process.returncode)
        return float(process.stdout.split()[-1])


def _why_not_installed():
    """What pip said when the packages were fetched, if that failed."""
    reasons = []
    for name in ("monoquant_pypi", "monoquant_pypi_peers"):
        try:
            reasons.append(importlib.import_module(name).UNAVAILABLE)
        except ImportError:
            pass  # Run by hand, outside Bazel.
    return " ".join(filter(None, reasons))


def _reason(text):
    """The line of stderr that tells why a process failed."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"[\w.]*(Error|Exception)\b",
                                                 line)]
    return (errors or lines or [""])[-1].replace("|", "/")


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


class Run:
    """One line of the table of whole runs."""

    def __init__(self, tool, scheme, like, output):
        self.tool = tool
        self.scheme = scheme
        self.like = like       # monoquant's scheme
        self.output = output
        self.command = None
        self.options = {}      # Popen's
        self.check = None      # -> SQNR in dB; raises Unavailable
        self.size = self.sqnr = self.failure = None
        self._taken = []

    def prepare(self, model):
        """Runs it without counting, and looks at the result."""
        if self.failure:
            return
        tell("%s %s: first run and check" % (self.tool, self.scheme))
        try:
            self._once(model)
            self.size = os.path.getsize(self.output)
            self.sqnr = self.check()
            if not self.sqnr >= LEAST_SQNR[self.like]:
                self.failure = "wrong result: SQNR %.1f dB" % self.sqnr
        except Unavailable as error:
            self.failure = str(error)
        self._remove_output()

    def measure(self, model):
        if self.failure:
            return
        try:
            self._taken.append(self._once(model))
            tell("%s %s: %.3f s" % (self.tool, self.scheme,
                                    self._taken[-1].seconds))
        except Unavailable as error:
            self.failure = str(error)
        self._remove_output()

    def _once(self, model):
        measure.set_cache(model, warm=True)
        with tempfile.TemporaryFile("w+") as errors:
            try:
                return measure.run(self.command, stdout=subprocess.DEVNULL,
                                   stderr=errors, **self.options)
            except measure.Failed as failed:
                errors.seek(0)
                raise Unavailable(_reason(errors.read()) or str(failed))

    def _remove_output(self):
        if os.path.exists(self.output):
            os.remove(self.output)

    def usage(self):
        """Medians, or None if it failed."""
        if self.failure or not self._taken:
            return None
        return measure.Usage(*map(statistics.median, zip(*self._taken)))


def own_run(scheme, model, folder, threads):
    run = Run("monoquant", scheme, scheme,
              os.path.join(folder, "output.safetensors"))
    run.command = [MONOQUANT, "quantize", "-m", model, "-o", run.output,
                   "--type", OWN_TYPES[scheme][0], "--threads", threads,
                   "--quiet", "--force"]

    def check():
        process = subprocess.run(
            [MONOQUANT, "compare", model, run.output, "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
        if process.returncode != 0:
            raise Unavailable(_reason(process.stderr))
        return json.loads(process.stdout)["summary"]["sqnr_db"]["min"]

    run.check = check
    return run


def peer_run(tools, name, scheme, model, folder, threads):
    peer = PEERS[name]
    run = Run(name, scheme, peer.schemes[scheme],
              os.path.join(folder, "output" + peer.suffix))
    words = [peer.module, scheme, model, run.output]
    try:
        run.command, run.options = tools.command(peer, threads, "quantize",
                                                 *words)
    except Unavailable as error:
        run.failure = str(error)
    run.check = lambda: tools.ask(peer, threads, "check", *words,
                                  "layers.0.weight")
    return run


def compare_runs(tools, args, gigabytes, dtype):
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        model = os.path.join(folder, "model.safetensors")
        measure.make_checkpoint(model, gigabytes, dtype)
        own = {scheme: own_run(scheme, model, folder, args.threads)
               for scheme in args.schemes}
        peers = [peer_run(tools, name, scheme, model, folder, args.threads)
                 for name in args.peers
                 for scheme, like in PEERS[name].schemes.items()
                 if like in args.schemes]
        for run in (*own.values(), *peers):
            run.prepare(model)
        # In turns, so that what else the machine does meets all of them.
        for i in range(args.runs):
            for run in own.values():
                run.measure(model)
            for run in peers if i < args.peer_runs else ():
                run.measure(model)
        rows = [describe_run(run, own[run.like])
                for run in (*own.values(), *peers)]
        size = os.path.getsize(model)
    print("%.2f GB of %s, %d threads, page cache warm; medians of %d runs, of "
          "%d of the peers\n" % (size / 1e9, dtype, args.threads, args.runs,
                                 min(args.runs, args.peer_runs)))
    print_table(["tool", "", "to", "seconds", "times monoquant's",
                 "of processor", "times monoquant's", "resident MB",
                 "anonymous MB", "output MB", "SQNR dB"], rows)


def describe_run(run, own):
    name = [run.tool, _version(run.tool), run.scheme]
    usage, least = run.usage(), own.usage()
    if usage is None:
        return name + [run.failure or "not run"] + [""] * 7
    ratios = ([a / b for a, b in zip(usage[:2], least[:2])] if least else
              [None, None])
    return name + [
        cell(usage.seconds, 3), cell(ratios[0], 1),
        cell(usage.processor_seconds, 3), cell(ratios[1], 1),
        cell(usage.resident_mb, 0), cell(usage.anonymous_mb, 0),
        cell(run.size / 1e6, 0), cell(run.sqnr, 1)]


def own_kernels():
    """{(scheme, dtype): GB/s} of //tests/bench:kernels."""
    tell("monoquant: kernels")
    lines = subprocess.run([KERNELS, "--json"], stdout=subprocess.PIPE,
                           check=True, encoding="utf-8").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    return {(scheme, row["dtype"]): row["gigabytes_per_second"]
            for row in rows if not row["error"]
            for scheme, (_, name) in OWN_TYPES.items()
            if row["scheme"] == name}


def peer_kernels(tools, args):
    """[(tool, scheme, like, {dtype: GB/s, or why there is none})]"""
    rows = []
    for name in args.peers:
        peer = PEERS[name]
        for scheme, like in peer.schemes.items():
            speeds = {}
            for dtype, width in DTYPES.items():
                tell("%s %s %s: kernel" % (name, scheme, dtype))
                try:
                    seconds = tools.ask(peer, 1, "kernels", peer.module, scheme,
                                        dtype, ROWS, COLUMNS, args.seconds)
                    speeds[dtype] = ROWS * COLUMNS * width / seconds / 1e9
                except Unavailable as error:
                    speeds[dtype] = str(error)
            rows.append((name, scheme, like, speeds))
    return rows


def best_peer(peers, like, dtype):
    """(GB/s, which), or (None, None)"""
    return max(((speeds[dtype], "%s %s" % (name, scheme))
                for name, scheme, its, speeds in peers
                if its == like and isinstance(speeds[dtype], float)),
               default=(None, None))


def compare_kernels(tools, args):
    own, peers = own_kernels(), peer_kernels(tools, args)
    print("One thread, a matrix of %d x %d in memory, GB of input a second; "
          "medians of %g s\n" % (ROWS, COLUMNS, args.seconds))
    print_table(
        ["tool", "", "to", *DTYPES],
        [["monoquant", "", scheme,
          *(cell(own.get((scheme, dtype)), 3) for dtype in DTYPES)]
         for scheme in OWN_TYPES] +
        [[name, _version(name), scheme,
          *(cell(speeds[dtype], 3) for dtype in DTYPES)]
         for name, scheme, _, speeds in peers])
    rows = []
    for scheme in OWN_TYPES:
        row = [scheme]
        for dtype in DTYPES:
            best, which = best_peer(peers, scheme, dtype)
            mine = own.get((scheme, dtype))
            ratio = mine / best if mine and best else None
            row += [cell(mine), cell(best, 3), cell(which), cell(ratio, 1)]
        rows.append(row)
    print_table(["to", *(head % dtype for dtype in DTYPES for head in (
        "monoquant, %s", "best peer, %s", "which, %s", "ratio, %s"))], rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument("--gigabytes", type=float, nargs="+", default=[1])
    parser.add_argument("--dtypes", nargs="+", default=["BF16"],
                        choices=DTYPES)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer-runs", type=int,
                        help="fewer for the peers, which take longer")
    parser.add_argument("--peers", nargs="+", choices=PEERS,
                        default=list(PEERS))
    parser.add_argument("--schemes", nargs="+", choices=OWN_TYPES,
                        default=["int8", "int4 group 128"],
                        help="of whole runs; kernels have all")
    parser.add_argument("--threads", type=int, default=os.cpu_count(),
                        help="of whole runs; kernels have one")
    parser.add_argument("--seconds", type=float, default=3,
                        help="that each kernel is repeated")
    parser.add_argument("--parts", nargs="+", choices=["runs", "kernels"],
                        default=["runs", "kernels"])
    parser.add_argument("--folder", help="where the files lie while it runs")
    args = parser.parse_args()
    args.peer_runs = args.peer_runs or args.runs
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        tools = Tools(folder)
        if "runs" in args.parts:
            for gigabytes in args.gigabytes:
                for dtype in args.dtypes:
                    compare_runs(tools, args, gigabytes, dtype)
        if "kernels" in args.parts:
            compare_kernels(tools, args)


if __name__ == "__main__":
    main()
