"""Runs scripts that drive the WebAssembly module under Node."""

import json
import os
import pathlib
import subprocess

_MODULE = pathlib.Path(__file__).parents[2] / "wasm" / "monoquant.wasm"


def run(runner, folder, **request):
    """What `runner`, a script, prints for a request with the module's path.

    The request lies in `folder` while it runs.
    """
    path = os.path.join(folder, "request.json")
    with open(path, "w") as file:
        json.dump({"module": str(_MODULE), **request}, file)
    # Bazel gives links to files; the runner's imports are beside the link.
    process = subprocess.run(
        ["node", "--preserve-symlinks", "--preserve-symlinks-main", runner,
         path], check=True, stdout=subprocess.PIPE)
    return json.loads(process.stdout)
