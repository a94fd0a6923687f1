"""usage: parity_cases FOLDER MONOQUANT

Writes checkpoints into FOLDER, quantizes them, and those of this machine, with
the command line MONOQUANT, and prints what the page must make of them, as JSON:
[{input: {files, main}, cases: [{name, request, chunkBytes, directory, and
outputs: [[name, sha256]] or error: message}]}].
"""

import concurrent.futures
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile

from tests.parity import cases as files
from tests.parity import directories
from tests.support import real_checkpoints

# What is made of each published checkpoint.
_OF_PUBLISHED = {
    "int8 to safetensors": {"format": "safetensors"},
    "int4 in groups to torch": {
        "format": "torch",
        "recipe": {"defaults": "int4,group=32,asymmetric"}},
}

_EXTENSIONS = {"torch": ".pt", "safetensors": ".safetensors",
               "mqir": ".mqir", "torch-ao": ".pt"}


def _sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _arguments(request, recipe_path):
    """The flags that say what a request says; may write a recipe."""
    arguments = [request.get("mode", "quantize")]
    for name, flag in (("format", "--to"), ("dtype", "--dtype"),
                       ("for", "--for"),
                       ("max_shard_bytes", "--max-shard-size")):
        if name in request:
            arguments += [flag, str(request[name])]
    if "recipe" in request:
        with open(recipe_path, "w") as file:
            json.dump(request["recipe"], file)
        arguments += ["--recipe", recipe_path]
    return arguments


def _expected(program, path, request):
    """What the command line makes of `path`: {outputs, directory} or {error}"""
    folder = tempfile.mkdtemp()
    try:
        extension = _EXTENSIONS.get(request.get("format"), "")
        if "max_shard_bytes" in request:
            extension = ""
        output = os.path.join(folder, "output" + extension)
        process = subprocess.run(
            [program, *_arguments(request, os.path.join(folder, "recipe")),
             "-m", path, "-o", output, "--quiet", "--threads", "1"],
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        if process.returncode != 0:
            return {"error": process.stderr.strip()}
        directory = os.path.isdir(output)
        names = sorted(os.listdir(output)) if directory else [""]
        return {"directory": directory,
                "outputs": [[name, _sha256(os.path.join(output, name)
                                           if directory else output)]
                            for name in names]}
    finally:
        shutil.rmtree(folder)


class _Work:
    """What is to be made of what, in the order of asking."""

    def __init__(self, program):
        self._program = program
        self._pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
        self._inputs = {}

    def add(self, path, name, request, chunk_bytes=8 << 20, main=None):
        """`path` is a file, a directory, or with `main` a directory of which
        that file is named."""
        cases = self._inputs.setdefault((path, main), [])
        named = os.path.join(path, main) if main else path
        cases.append((
            {"name": name, "request": request, "chunkBytes": chunk_bytes},
            self._pool.submit(_expected, self._program, named, request)))

    def document(self):
        return [
            {"input": {"path": path, "main": main,
                       "directory": os.path.isdir(path)},
             "cases": [{**case, **expected.result()}
                       for case, expected in cases]}
            for (path, main), cases in self._inputs.items()]


def _add_schemes(work, folder):
    """Every scheme for each input type, and every format of one file."""
    inputs = files.make_inputs(folder)
    for case in files.all_cases():
        work.add(inputs[case.dtype], case.name,
                 {"recipe": case.recipe, "format": case.to})


def _add_directories(work, folder, program):
    """Every format that is a directory."""
    models = directories.make_models(folder)
    cases = directories.all_cases(models)
    models["small"] = os.path.join(folder, "small")
    subprocess.run(
        [program, "quantize", "-m", models["shards"], "-o", models["small"],
         "--to", "compressed-tensors", "--quiet"], check=True)
    cases += directories.quantized_cases(models)
    for case in cases:
        path, main = case.input, None
        if path == models["index"]:
            path, main = os.path.split(path)
        work.add(path, case.name, case.request, case.chunk_bytes, main)
    work.add(models["one_file"], "torch-ao", {"format": "torch-ao"})
    work.add(models["bad_config"], "bad config",
             {"format": "compressed-tensors"})


def main():
    folder, program = sys.argv[1:]
    program = os.path.abspath(program)
    work = _Work(program)
    _add_schemes(work, folder)
    _add_directories(work, folder, program)
    # What it says of a missing folder is no part of the document.
    document_stream, sys.stdout = sys.stdout, sys.stderr
    published = (real_checkpoints.from_folder()
                 or real_checkpoints.from_packages())
    for path in published:
        for name, request in _OF_PUBLISHED.items():
            work.add(os.path.realpath(path),
                     "%s, %s" % (os.path.basename(path), name), request)
    json.dump(work.document(), document_stream)


if __name__ == "__main__":
    main()
