"""Renews goldens.json in the source tree: what the program makes now, natively
with 1 thread.

usage: bazel run //tests/parity:update_goldens
"""

import json
import os
import tempfile

from tests.parity import cases, run


def main():
    # Of the source tree; without Bazel, beside this file.
    root = os.environ.get("BUILD_WORKSPACE_DIRECTORY")
    goldens = (os.path.join(root, "tests", "parity", "goldens.json") if root
               else run.GOLDENS)
    before = {}
    if os.path.exists(goldens):
        with open(goldens) as file:
            before = json.load(file)
    with tempfile.TemporaryDirectory() as folder:
        now = run.native(cases.all_cases(), cases.make_inputs(folder), folder,
                         threads=1, chunk_bytes=8 * 1024 * 1024)
    with open(goldens, "w") as file:
        json.dump(now, file, indent=1)
        file.write("\n")
    for name in sorted(before.keys() | now.keys()):
        if before.get(name) != now.get(name):
            print("changed: " + name)
    print("%d cases in %s" % (len(now), goldens))


if __name__ == "__main__":
    main()
