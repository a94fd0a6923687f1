"""Runs cases natively and as WebAssembly; gives the sha256 of each output."""

import hashlib
import json
import os
import pathlib
import re

from tests.support import monoquant, wasm_module

_WASM_RUNNER = pathlib.Path(__file__).with_name("run_wasm.mjs")
GOLDENS = pathlib.Path(__file__).with_name("goldens.json")

EXTENSIONS = {"torch": ".pt", "safetensors": ".safetensors", "mqir": ".mqir"}


def instruction_sets():
    """Those that --simd takes on this machine, as its error lists them."""
    try:
        monoquant.run("plan", "--simd", "none", "model.pt")
    except monoquant.Failed as error:
        return re.findall(r"\b(avx512|avx2|sse4|neon|scalar)\b",
                          error.message)
    raise AssertionError("--simd none was accepted")


def native(cases, inputs, folder, threads, chunk_bytes, simd=None):
    """{case name: sha256} by the command line."""
    recipe = os.path.join(folder, "recipe.json")
    found = {}
    for case in cases:
        output = os.path.join(folder, "output" + EXTENSIONS[case.to])
        with open(recipe, "w") as file:
            json.dump(case.recipe, file)
        monoquant.run(
            "quantize", "-m", inputs[case.dtype], "-o", output, "--force",
            "--quiet", "--recipe", recipe, "--threads", threads,
            "--chunk-size", chunk_bytes, *(("--simd", simd) if simd else ()))
        with open(output, "rb") as file:
            found[case.name] = hashlib.sha256(file.read()).hexdigest()
    return found


def wasm(cases, inputs, folder, chunk_bytes):
    """{case name: sha256} by the module under Node, all in one process."""
    return wasm_module.run(
        _WASM_RUNNER, folder, chunkBytes=chunk_bytes,
        cases=[{"name": case.name, "recipe": case.recipe,
                "input": inputs[case.dtype], "format": case.to}
               for case in cases])
